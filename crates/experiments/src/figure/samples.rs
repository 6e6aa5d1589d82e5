//! Pictures side by side, with a word above each column.

use super::{FONT, prepare_font, write_png};
use anyhow::{Result, anyhow, ensure};
use datasets::{SIDE, SIZE};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

/// Screen pixels a picture's pixel takes along each axis.
const ENLARGED: usize = 5;
const GAP: usize = 14;
const LINE: usize = 26;

/// Writes a table of pictures, on the 0..255 scale, each [`SIZE`] long: a row for each sample, a
/// column for each title. A title's lines are separated by newlines.
///
/// # Errors
/// A row has another number of pictures than there are titles, or the file cannot be written.
pub fn write(path: &Path, titles: &[String], rows: &[Vec<Vec<f32>>]) -> Result<()> {
    prepare_font();
    let cell = SIDE * ENLARGED;
    let lines = titles.iter().map(|title| title.lines().count()).max().unwrap_or(0);
    let top = GAP + lines * LINE;
    let width = titles.len() * (cell + GAP) + GAP;
    let height = top + rows.len() * (cell + GAP) + GAP;
    let mut pixels = vec![255_u8; width * height * 3];
    for (row, pictures) in rows.iter().enumerate() {
        ensure!(pictures.len() == titles.len(), "a picture for each of {} titles", titles.len());
        for (column, picture) in pictures.iter().enumerate() {
            ensure!(picture.len() == SIZE, "a picture of {SIZE} numbers, not {}", picture.len());
            let (x0, y0) = (GAP + column * (cell + GAP), top + GAP + row * (cell + GAP));
            for y in 0..cell {
                for x in 0..cell {
                    for channel in 0..3 {
                        let from = channel * SIDE * SIDE + y / ENLARGED * SIDE + x / ENLARGED;
                        // NaN, from weights that broke, becomes 0: black.
                        pixels[((y0 + y) * width + x0 + x) * 3 + channel] =
                            picture[from].round().clamp(0.0, 255.0) as u8;
                    }
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
            area.draw_text(line, &style, place).map_err(|error| anyhow!("figure: {error}"))?;
        }
    }
    area.present().map_err(|error| anyhow!("figure: {error}"))?;
    drop(area);
    write_png(path, &pixels, size.0, size.1)
}
