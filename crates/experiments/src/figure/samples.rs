//! Pictures side by side, with a word above each column.

use super::{FONT, prepare_font};
use crate::files::write_whole;
use anyhow::{Context, Result, ensure};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

const GAP: usize = 14;
const LINE: usize = 26;

/// A picture of 8-bit colours.
#[derive(Clone, Debug)]
pub struct Picture {
    height: usize,
    width: usize,
    pixels: Vec<[u8; 3]>,
}

/// On the 0..255 scale; NaN, from weights that broke, becomes 0: black.
fn byte(x: f32) -> u8 {
    x.round().clamp(0.0, 255.0) as u8
}

impl Picture {
    /// A square of colours on the 0..255 scale: the red, the green and the blue plane.
    ///
    /// # Panics
    /// If there are not `3 * side * side` numbers.
    pub fn colours(planes: &[f32], side: usize) -> Self {
        assert_eq!(planes.len(), 3 * side * side, "three planes");
        let area = side * side;
        let pixel = |i: usize| [0, 1, 2].map(|channel| byte(planes[channel * area + i]));
        Self { height: side, width: side, pixels: (0..area).map(pixel).collect() }
    }

    /// Greys, `range` from black to white.
    ///
    /// # Panics
    /// If there are not `height * width` numbers.
    pub fn greys(numbers: &[f32], (height, width): (usize, usize), range: (f32, f32)) -> Self {
        assert_eq!(numbers.len(), height * width, "as many numbers as the sides say");
        let grey = |x: &f32| [byte(255.0 * (x - range.0) / (range.1 - range.0)); 3];
        Self { height, width, pixels: numbers.iter().map(grey).collect() }
    }

    /// A part of it.
    ///
    /// # Panics
    /// If it does not lie within the picture.
    #[must_use]
    pub fn part(&self, top: usize, left: usize, (height, width): (usize, usize)) -> Self {
        assert!(top + height <= self.height && left + width <= self.width, "a part");
        let rows = self.pixels[top * self.width..].chunks(self.width).take(height);
        let pixels = rows.flat_map(|row| &row[left..left + width]).copied().collect();
        Self { height, width, pixels }
    }
}

/// Writes a table of pictures as a PNG file.
///
/// # Errors
/// As [`png()`], or the file cannot be written.
pub fn write(path: &Path, titles: &[String], rows: &[Vec<Picture>], cell: usize) -> Result<()> {
    write_whole(path, &png(titles, rows, cell)?)
}

/// A table of pictures as PNG, each enlarged to `cell` screen pixels along its longer side: a row for
/// each sample, a column for each title. A title's lines are separated by newlines.
///
/// # Errors
/// A row has another number of pictures than there are titles.
pub fn png(titles: &[String], rows: &[Vec<Picture>], cell: usize) -> Result<Vec<u8>> {
    prepare_font();
    let lines = titles.iter().map(|title| title.lines().count()).max().unwrap_or(0);
    let top = GAP + lines * LINE;
    let width = titles.len() * (cell + GAP) + GAP;
    let height = top + rows.len() * (cell + GAP) + GAP;
    let mut pixels = vec![255_u8; width * height * 3];
    for (row, pictures) in rows.iter().enumerate() {
        ensure!(pictures.len() == titles.len(), "a picture for each of {} titles", titles.len());
        for (column, picture) in pictures.iter().enumerate() {
            let (x0, y0) = (GAP + column * (cell + GAP), top + GAP + row * (cell + GAP));
            let longer = picture.height.max(picture.width);
            for y in 0..cell * picture.height / longer {
                for x in 0..cell * picture.width / longer {
                    let from = y * longer / cell * picture.width + x * longer / cell;
                    let to = ((y0 + y) * width + x0 + x) * 3;
                    pixels[to..to + 3].copy_from_slice(&picture.pixels[from]);
                }
            }
        }
    }
    let size = (width as u32, height as u32);
    let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
    let style = TextStyle::from((FONT, 20).into_font()).pos(Pos::new(HPos::Center, VPos::Top));
    for (column, title) in titles.iter().enumerate() {
        for (number, line) in title.lines().enumerate() {
            let middle = GAP + column * (cell + GAP) + cell / 2;
            let place = (middle as i32, (GAP / 2 + number * LINE) as i32);
            area.draw_text(line, &style, place).context("figure")?;
        }
    }
    area.present().context("figure")?;
    drop(area);
    super::png(&pixels, size.0, size.1)
}
