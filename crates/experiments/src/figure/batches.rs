//! Losses against the batch size, as PNG and SVG.

use super::curves::{colour, short, ticks};
use super::{FONT, legend, prepare_font, write_png};
use crate::files::write_whole;
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

/// The repeats at one batch size.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Examples a step.
    pub batch: usize,
    /// Their mean loss.
    pub mean: f64,
    /// The standard deviation over the repeats.
    pub std: f64,
}

/// A figure: a line with error bars for each arm.
#[derive(Clone, Debug)]
pub struct Batches {
    /// The names of the arms.
    pub arms: Vec<String>,
    /// For each arm its places, by rising batch.
    pub lines: Vec<Vec<Place>>,
    /// Beside the vertical axis.
    pub y_label: String,
}

const SIZE: (u32, u32) = (860, 680);

impl Batches {
    /// Writes `name.png` and `name.svg` into a folder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        prepare_font();
        let mut pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
        self.draw(BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area())?;
        write_png(&folder.join(format!("{name}.png")), &pixels, SIZE.0, SIZE.1)?;
        write_whole(&folder.join(format!("{name}.svg")), self.svg()?.as_bytes())
    }

    /// The figure as SVG.
    ///
    /// # Errors
    /// It cannot be drawn.
    pub fn svg(&self) -> Result<String> {
        let mut text = String::new();
        self.draw(SVGBackend::with_string(&mut text, SIZE).into_drawing_area())?;
        Ok(text)
    }

    fn draw<B: DrawingBackend>(&self, area: DrawingArea<B, Shift>) -> Result<()> {
        let failed = |error: DrawingAreaErrorKind<B::ErrorType>| anyhow!("figure: {error}");
        area.fill(&WHITE).map_err(failed)?;
        let places = || self.lines.iter().flatten().filter(|place| place.mean > 0.0);
        let lowest = places().map(|place| (place.mean - place.std).max(place.mean / 2.0));
        let low = lowest.fold(f64::INFINITY, f64::min);
        let high = places().map(|place| place.mean + place.std).fold(0.0, f64::max);
        // Room for the legend above.
        let (low, high) = if low < high {
            (low / 1.15, high * (high / low).powf(0.45) * 1.2)
        } else {
            (1.0, 10.0)
        };
        let batches: Vec<f64> = places().map(|place| place.batch as f64).collect();
        let first = batches.iter().copied().fold(f64::INFINITY, f64::min) / 1.4;
        let last = batches.iter().copied().fold(1.0, f64::max) * 1.4;
        let mut chart = ChartBuilder::on(&area)
            .margin(18)
            .margin_right(36)
            .x_label_area_size(84)
            .y_label_area_size(110)
            .build_cartesian_2d(
                (first..last).log_scale().base(2.0).with_key_points(batches),
                (low..high).log_scale().with_key_points(ticks(low, high)),
            )
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("batch size")
            .y_desc(&self.y_label)
            .label_style((FONT, 28))
            .axis_desc_style((FONT, 30))
            .light_line_style(RGBColor(244, 244, 244))
            .bold_line_style(RGBColor(225, 225, 225))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| short(*y))
            .draw()
            .map_err(failed)?;
        for (arm, line) in self.lines.iter().enumerate() {
            let colour = colour(arm);
            // Side by side, so that bars do not hide each other.
            let shift = 1.0 + 0.05 * (arm as f64 - (self.lines.len() - 1) as f64 / 2.0);
            let at = |place: &Place| place.batch as f64 * shift;
            let points = line.iter().map(|place| (at(place), place.mean));
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(4)))
                .map_err(failed)?
                .label(&self.arms[arm])
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 44, y)], colour.stroke_width(6))
                });
            let dots = points.map(|point| Circle::new(point, 7, colour.filled()));
            chart.draw_series(dots).map_err(failed)?;
            let bars = line.iter().filter(|place| place.std > 0.0).map(|place| {
                let ends = [place.mean - place.std, place.mean + place.std];
                let ends = ends.map(|y| (at(place), y.clamp(low, high)));
                PathElement::new(ends, colour.stroke_width(3))
            });
            chart.draw_series(bars).map_err(failed)?;
        }
        legend(&mut chart).map_err(failed)?;
        area.present().map_err(failed)
    }
}
