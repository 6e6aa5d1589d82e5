//! Figures: learning curves, losses against the batch size, and pictures side by side.

pub mod batches;
pub mod curves;
pub mod samples;

use crate::files::write_whole;
use anyhow::{Context, Result};
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::register_font;
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

/// Draws the names of the arms, above on the right.
fn legend<'a, B: DrawingBackend + 'a, X: Ranged, Y: Ranged>(
    chart: &mut ChartContext<'a, B, Cartesian2d<X, Y>>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    chart
        .configure_series_labels()
        .label_font((FONT, 28))
        .legend_area_size(56)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(190, 190, 190))
        .position(SeriesLabelPosition::UpperRight)
        .draw()
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
