//! Micrographs in NPY files.
//!
//! The header is read here: libraries for it multiply the sides that it gives before they ask whether
//! the file can hold so many numbers.

use super::{REMEDY, io, narrowed};
use crate::Error;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float,
    Signed,
    Unsigned,
}

/// A checked header, and where the numbers begin.
struct Array {
    file: BufReader<File>,
    start: u64,
    pages: usize,
    height: usize,
    width: usize,
    kind: Kind,
    /// Bytes of a number.
    size: usize,
    little: bool,
    fortran: bool,
}

/// Height and width of each picture.
pub fn pages(path: &Path) -> Result<Vec<(usize, usize)>, Error> {
    let array = open(path)?;
    Ok(vec![(array.height, array.width); array.pages])
}

/// All pixels of a picture.
pub fn read(path: &Path, page: usize) -> Result<Vec<f32>, Error> {
    let mut array = open(path)?;
    let pixels = array.height * array.width;
    let mut bytes = vec![0; pixels * array.size];
    let taken = if array.fortran {
        array.read_fortran(page, &mut bytes)
    } else {
        array.read_c(page, &mut bytes)
    };
    taken.map_err(|error| io(path, error))?;
    let numbers: Vec<f64> =
        bytes.chunks_exact(array.size).map(|bytes| array.number(bytes)).collect();
    narrowed(path, numbers.into_iter())
}

impl Array {
    fn read_c(&mut self, page: usize, bytes: &mut [u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.start + (page * bytes.len()) as u64))?;
        self.file.read_exact(bytes)
    }

    /// The first axis changes fastest: a picture's numbers lie all over the file, column by column.
    fn read_fortran(&mut self, page: usize, bytes: &mut [u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.start))?;
        let mut run = vec![0; self.pages * self.size];
        for column in 0..self.width {
            for row in 0..self.height {
                self.file.read_exact(&mut run)?;
                let to = (row * self.width + column) * self.size;
                bytes[to..to + self.size].copy_from_slice(&run[page * self.size..][..self.size]);
            }
        }
        Ok(())
    }

    fn number(&self, bytes: &[u8]) -> f64 {
        let shift = |i: usize| 8 * if self.little { i } else { bytes.len() - 1 - i };
        let bits =
            bytes.iter().enumerate().fold(0_u64, |sum, (i, &b)| sum | u64::from(b) << shift(i));
        match (self.kind, self.size) {
            (Kind::Float, 2) => half::f16::from_bits(bits as u16).to_f64(),
            (Kind::Float, 4) => f64::from(f32::from_bits(bits as u32)),
            (Kind::Float, _) => f64::from_bits(bits),
            (Kind::Signed, 1) => f64::from(bits as u8 as i8),
            (Kind::Signed, _) => f64::from(bits as u16 as i16),
            _ => bits as f64,
        }
    }
}

fn open(path: &Path) -> Result<Array, Error> {
    let wrong = |problem: String| Err(Error::content(path, problem, REMEDY));
    let file = File::open(path).map_err(|error| io(path, error))?;
    let length = file.metadata().map_err(|error| io(path, error))?.len();
    let mut file = BufReader::new(file);
    let text = match header(&mut file, length) {
        Ok(Some(text)) => text,
        Ok(None) => return wrong("no NPY file (it does not begin like one)".to_owned()),
        Err(error) => return Err(io(path, error)),
    };
    let start = file.stream_position().map_err(|error| io(path, error))?;
    let Some((descr, fortran, shape)) = parsed(&text) else {
        let start: String = text.chars().take(200).collect();
        return wrong(format!("a header that cannot be read: {}", start.trim_end()));
    };
    let Some(kind) = descr.strip_prefix(['<', '>', '|', '=']) else {
        return wrong(format!("numbers of type {descr:?}; expected one such as <f4"));
    };
    let (kind, size) = match kind {
        "f2" | "f4" | "f8" => (Kind::Float, kind[1..].parse().unwrap_or(8)),
        "i1" | "i2" => (Kind::Signed, kind[1..].parse().unwrap_or(2)),
        "u1" | "u2" => (Kind::Unsigned, kind[1..].parse().unwrap_or(2)),
        _ if kind.starts_with('O') => return wrong("an array of Python objects".to_owned()),
        _ => {
            let expected = "floats of 16, 32 or 64 bits or integers of 8 or 16";
            return wrong(format!("numbers of type {descr}; expected {expected}"));
        }
    };
    let (pages, height, width) = match *shape.as_slice() {
        [height, width] => (1, height, width),
        [pages, height, width] | [pages, height, width, 1] => (pages, height, width),
        _ => {
            let expected = "[height, width] or [pictures, height, width]";
            return wrong(format!("an array of shape {shape:?}; expected {expected}"));
        }
    };
    let count = [pages, height, width, size as u64]
        .iter()
        .try_fold(1, |product: u64, &n| product.checked_mul(n));
    let held = length - start.min(length);
    if count != Some(held) {
        let more =
            if count.is_some_and(|count| count < held) { "trailing bytes" } else { "truncated" };
        return wrong(format!(
            "shape {shape:?} of {size}-byte numbers, but {held} bytes of them ({more})"
        ));
    }
    if held == 0 {
        return wrong(format!("an array of shape {shape:?}, without a pixel"));
    }
    // They fit: their product does.
    Ok(Array {
        file,
        start,
        pages: pages as usize,
        height: height as usize,
        width: width as usize,
        kind,
        size,
        little: !descr.starts_with('>'),
        fortran,
    })
}

/// The header's text; none if the file does not begin like an NPY file.
fn header(file: &mut impl Read, length: u64) -> std::io::Result<Option<String>> {
    let mut start = [0; 8];
    file.read_exact(&mut start)?;
    if !start.starts_with(b"\x93NUMPY") || !(1..=3).contains(&start[6]) {
        return Ok(None);
    }
    let mut count = [0; 4];
    file.read_exact(&mut count[..if start[6] == 1 { 2 } else { 4 }])?;
    let count = u64::from(u32::from_le_bytes(count));
    if count > length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let mut text = vec![0; count as usize];
    file.read_exact(&mut text)?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// Type, order and shape from a header such as
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
fn parsed(text: &str) -> Option<(String, bool, Vec<u64>)> {
    let value = |key: &str| {
        let rest = text.split_once(&format!("'{key}'"))?.1.trim_start();
        Some(rest.strip_prefix(':')?.trim_start())
    };
    let descr = value("descr")?.strip_prefix('\'')?.split_once('\'')?.0.to_owned();
    let fortran = match value("fortran_order")? {
        rest if rest.starts_with("True") => true,
        rest if rest.starts_with("False") => false,
        _ => return None,
    };
    let sides = value("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
    Some((descr, fortran, sides.map(|side| side.parse().ok()).collect::<Option<_>>()?))
}
