//! Figures: learning curves, losses against the batch size, and pictures side by side.

pub mod batches;
pub mod curves;
pub mod samples;

use crate::files::write_whole;
use anyhow::{Context, Result};
use plotters::style::{FontStyle, register_font};
use std::path::Path;
use std::sync::Once;

/// The font of all figures.
const FONT: &str = "sans-serif";

/// Makes the font known; figures look the same on every machine.
fn prepare_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It fails only for bytes that are no font.
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
    });
}

/// Writes 8-bit RGB pixels, row by row, as a PNG file.
///
/// # Errors
/// The file cannot be written.
pub fn write_png(path: &Path, pixels: &[u8], width: u32, height: u32) -> Result<()> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let encode = |encoder: png::Encoder<'_, _>| -> Result<(), png::EncodingError> {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()
    };
    encode(encoder).with_context(|| format!("{}: cannot be encoded", path.display()))?;
    write_whole(path, &bytes)
}
