//! Figures: learning curves, losses against the batch size, and pictures side by side.

pub mod batches;
pub mod curves;
pub mod samples;

use crate::files::write_whole;
use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
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

/// A figure of lines over axes.
pub trait Figure {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws it.
    ///
    /// # Errors
    /// The area refuses.
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>>;

    /// Writes `name.png` and `name.svg` into a folder.
    ///
    /// # Errors
    /// A file cannot be written.
    fn write(&self, folder: &Path, name: &str) -> Result<()> {
        prepare_font();
        let (width, height) = self.size();
        let mut pixels = vec![0; (width * height * 3) as usize];
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        self.draw(&area).context("figure")?;
        drop(area);
        write_whole(&folder.join(format!("{name}.png")), &png(&pixels, width, height)?)?;
        write_whole(&folder.join(format!("{name}.svg")), self.svg()?.as_bytes())
    }

    /// The figure as SVG.
    ///
    /// # Errors
    /// It cannot be drawn.
    fn svg(&self) -> Result<String> {
        prepare_font();
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, self.size()).into_drawing_area();
        self.draw(&area).context("figure")?;
        drop(area);
        Ok(text)
    }
}

/// Room for axes and their labels around a chart.
fn chart<'a, 'b, B: DrawingBackend>(area: &'a DrawingArea<B, Shift>) -> ChartBuilder<'a, 'b, B> {
    let mut builder = ChartBuilder::on(area);
    builder.margin(18).margin_right(36).x_label_area_size(84).y_label_area_size(110);
    builder
}

/// Draws axes, lines at their labels, and what they show.
fn axes<'a, B: DrawingBackend + 'a, X, Y>(
    chart: &mut ChartContext<'a, B, Cartesian2d<X, Y>>,
    x_label: &str,
    y_label: &str,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .x_desc(x_label)
        .y_desc(y_label)
        .x_labels(5)
        .y_labels(8)
        .label_style((FONT, 28))
        .axis_desc_style((FONT, 30))
        .light_line_style(RGBColor(244, 244, 244))
        .bold_line_style(RGBColor(225, 225, 225))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|&y| if y >= 10.0 { format!("{y:.0}") } else { format!("{y:.1}") })
        .draw()
}

/// Dark enough on white, and told apart by colour-blind readers too.
const COLOURS: [RGBColor; 6] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 90, 181),
    RGBColor(0, 120, 80),
    RGBColor(120, 60, 140),
    RGBColor(190, 140, 0),
    RGBColor(90, 90, 90),
];

/// The colour of an arm; from the seventh on the same ones, lighter.
fn colour(arm: usize) -> RGBColor {
    let RGBColor(r, g, b) = COLOURS[arm % COLOURS.len()];
    if arm < COLOURS.len() {
        return RGBColor(r, g, b);
    }
    let [r, g, b] = [r, g, b].map(|part| 127 + part / 2);
    RGBColor(r, g, b)
}

/// Round numbers in a range, for the labels of a logarithmic axis.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let steps: &[f64] =
        if high / low < 30.0 { &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0] } else { &[1.0, 3.0] };
    (-9..9)
        .flat_map(|exponent| steps.iter().map(move |step| step * 10.0_f64.powi(exponent)))
        .filter(|tick| (low..high).contains(tick))
        .collect()
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

/// 8-bit RGB pixels, row by row, as a PNG file.
///
/// # Errors
/// There are not as many as the sides say.
pub fn png(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let encode = |encoder: png::Encoder<'_, _>| -> Result<(), png::EncodingError> {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()
    };
    encode(encoder).context("a picture cannot be encoded")?;
    Ok(bytes)
}
