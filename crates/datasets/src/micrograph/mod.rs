//! Electron micrographs from TIFF and NPY files.
//!
//! A file is opened for its pages and their sizes alone; a page is read when it is asked for. Reading
//! one allocates at most about [`MOST_TIMES`] times the file's size.

mod npy;
mod tiff;

use crate::Error;
use std::path::{Path, PathBuf};

/// Compressed files may unpack to so many times their size; more is an error.
pub const MOST_TIMES: u64 = 1_100;

pub(crate) const CHANGED: &str = "if it has changed, put it back; or start again without it";
const REMEDY: &str = "give a TIFF or NPY file of grey pictures (integers or floats)";

/// A grey picture: numbers as they are stored, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Micrograph {
    height: usize,
    width: usize,
    pixels: Vec<f32>,
}

/// What the numbers of a picture are, as stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Pixels that are NaN or infinite.
    pub non_finite: usize,
    /// The least of the others.
    pub min: f64,
    /// The largest of them.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
}

impl Micrograph {
    /// A picture of these pixels, row by row.
    ///
    /// # Panics
    /// If their number is not `height * width`.
    pub fn new(height: usize, width: usize, pixels: Vec<f32>) -> Self {
        assert_eq!(pixels.len(), height * width, "as many pixels as the sides say");
        Self { height, width, pixels }
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All pixels, row by row.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// What the finite pixels are; none if no pixel is finite.
    pub fn statistics(&self) -> Option<Statistics> {
        let finite = || self.pixels.iter().filter(|x| x.is_finite()).map(|&x| f64::from(x));
        let count = finite().count();
        (count > 0).then(|| Statistics {
            non_finite: self.pixels.len() - count,
            min: finite().fold(f64::INFINITY, f64::min),
            max: finite().fold(f64::NEG_INFINITY, f64::max),
            mean: finite().sum::<f64>() / count as f64,
        })
    }

    /// Replaces pixels that are not finite by the mean of the others; gives their number, or `None`
    /// if no pixel is finite.
    pub fn fill_non_finite(&mut self) -> Option<usize> {
        let Statistics { non_finite, mean, .. } = self.statistics()?;
        if non_finite > 0 {
            self.pixels.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = mean as f32);
        }
        Some(non_finite)
    }

    /// The square of a side whose first pixel is at `(top, left)`.
    ///
    /// # Panics
    /// If it does not lie within the picture.
    pub fn crop(&self, top: usize, left: usize, side: usize) -> Self {
        assert!(top + side <= self.height && left + side <= self.width, "a part of the picture");
        let rows = self.pixels[top * self.width..].chunks(self.width).take(side);
        let pixels = rows.flat_map(|row| &row[left..left + side]).copied().collect();
        Self::new(side, side, pixels)
    }
}

/// The middle of the range of some numbers, and half of its extent; (0, 0) for none.
pub fn range(numbers: &[f32]) -> (f64, f64) {
    let (min, max) = numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), &x| {
        (min.min(f64::from(x)), max.max(f64::from(x)))
    });
    if min > max { (0.0, 0.0) } else { ((max + min) / 2.0, (max - min) / 2.0) }
}

/// Maps numbers to -1 to 1, given the middle of their range and half of its extent; all to 0 if that
/// is 0. Computed in f64, so that tiny and huge ranges do not suffer.
pub fn normalize(numbers: &mut [f32], (middle, half): (f64, f64)) {
    for x in numbers {
        *x = if half > 0.0 { ((f64::from(*x) - middle) / half) as f32 } else { 0.0 };
    }
}

/// A file of micrographs.
#[derive(Clone, Debug)]
pub struct MicrographFile {
    path: PathBuf,
    pages: Vec<(usize, usize)>,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Tiff,
    Npy,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "tif" | "tiff" => Some(Self::Tiff),
            "npy" => Some(Self::Npy),
            _ => None,
        }
    }
}

impl MicrographFile {
    /// Whether a file's name ends like those of micrographs: `.tif`, `.tiff`, `.npy`.
    pub fn has_known_name(path: &Path) -> bool {
        Format::of(path).is_some()
    }

    /// Opens a file: every page of a TIFF file is a micrograph; of an NPY array `[pictures, height,
    /// width]` (or with a last axis of 1) every picture is, and `[height, width]` is a single one.
    ///
    /// # Errors
    /// It cannot be read, or holds something else: the message names it, and says what was found.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let Some(format) = Format::of(path) else {
            let problem = "its name ends neither in .tif, .tiff nor .npy".to_owned();
            return Err(Error::content(path, problem, REMEDY));
        };
        let pages = match format {
            Format::Tiff => tiff::pages(path),
            Format::Npy => npy::pages(path),
        }?;
        Ok(Self { path: path.to_path_buf(), pages, format })
    }

    /// Height and width of each micrograph.
    pub fn pages(&self) -> &[(usize, usize)] {
        &self.pages
    }

    /// Reads one as it is stored.
    ///
    /// # Errors
    /// There is no such page, it is cut short or damaged, or has no finite pixel.
    pub fn read(&self, page: usize) -> Result<Micrograph, Error> {
        let Some(&(height, width)) = self.pages.get(page) else {
            let problem = format!("{} pages, none of number {page}", self.pages.len());
            return Err(Error::content(&self.path, problem, CHANGED));
        };
        let pixels = match self.format {
            Format::Tiff => tiff::read(&self.path, page)?,
            Format::Npy => npy::read(&self.path, page)?,
        };
        if pixels.len() != height * width {
            let problem = format!("{} pixels in place of {height}x{width}", pixels.len());
            return Err(Error::content(&self.path, problem, REMEDY));
        }
        let micrograph = Micrograph { height, width, pixels };
        if !micrograph.pixels.iter().any(|x| x.is_finite()) {
            let problem = format!("page {page} has no finite pixel");
            return Err(Error::content(&self.path, problem, "start again without it"));
        }
        Ok(micrograph)
    }
}

/// Numbers of f64 as f32; an error for one that is finite but too large.
fn narrowed(path: &Path, wide: impl Iterator<Item = f64>) -> Result<Vec<f32>, Error> {
    wide.map(|wide| {
        let narrow = wide as f32;
        if wide.is_finite() && !narrow.is_finite() {
            let problem = format!("a pixel of {wide:e}, more than 32-bit floats hold");
            return Err(Error::content(path, problem, "scale the pictures"));
        }
        Ok(narrow)
    })
    .collect()
}

fn io(path: &Path, source: std::io::Error) -> Error {
    if source.kind() == std::io::ErrorKind::UnexpectedEof {
        return Error::content(
            path,
            "the file is cut short".to_owned(),
            "get it again, or start again without it",
        );
    }
    Error::Io { path: path.to_path_buf(), source, remedy: REMEDY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_normalises() {
        for (low, high) in [(0.0, 1.0), (1e-9, 3e-9), (-3e38, 3e38), (1e38, 3e38)] {
            let mut numbers = [low, high, (f64::from(low) / 2.0 + f64::from(high) / 2.0) as f32];
            let found = range(&numbers);
            normalize(&mut numbers, found);
            assert_eq!(numbers[..2], [-1.0, 1.0]);
            assert!(numbers[2].abs() < 1e-6, "{numbers:?}");
        }
        let mut constant = [7.0; 3];
        let found = range(&constant);
        normalize(&mut constant, found);
        assert_eq!(constant, [0.0; 3]);
    }

    #[test]
    fn crops_and_missing_pixels() {
        let numbers = (0..12_u8).map(f32::from).collect();
        let mut picture = Micrograph::new(3, 4, numbers);
        assert_eq!(picture.crop(1, 2, 2).pixels(), [6.0, 7.0, 10.0, 11.0]);
        picture.pixels[0] = f32::NAN;
        picture.pixels[1] = f32::INFINITY;
        assert_eq!(picture.fill_non_finite(), Some(2));
        assert_eq!(picture.pixels[..3], [6.5, 6.5, 2.0]);
        assert_eq!(Micrograph::new(1, 1, vec![f32::NAN]).fill_non_finite(), None);
    }
}
