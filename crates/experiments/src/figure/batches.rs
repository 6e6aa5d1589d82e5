//! Losses against the batch size, as PNG and SVG.

use super::{Figure, axes, chart, colour, legend, ticks};
use plotters::coord::Shift;
use plotters::prelude::*;

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

impl Figure for Batches {
    fn size(&self) -> (u32, u32) {
        (860, 680)
    }

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        area.fill(&WHITE)?;
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
        let mut chart = chart(area).build_cartesian_2d(
            (first..last).log_scale().base(2.0).with_key_points(batches),
            (low..high).log_scale().with_key_points(ticks(low, high)),
        )?;
        axes(&mut chart, "batch size", &self.y_label)?;
        for (arm, line) in self.lines.iter().enumerate() {
            let colour = colour(arm);
            // Side by side, so that bars do not hide each other.
            let shift = 1.0 + 0.05 * (arm as f64 - (self.lines.len() - 1) as f64 / 2.0);
            let at = |place: &Place| place.batch as f64 * shift;
            let points = line.iter().map(|place| (at(place), place.mean));
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(4)))?
                .label(&self.arms[arm])
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 44, y)], colour.stroke_width(6))
                });
            let dots = points.map(|point| Circle::new(point, 7, colour.filled()));
            chart.draw_series(dots)?;
            let bars = line.iter().filter(|place| place.std > 0.0).map(|place| {
                let ends = [place.mean - place.std, place.mean + place.std];
                let ends = ends.map(|y| (at(place), y.clamp(low, high)));
                PathElement::new(ends, colour.stroke_width(3))
            });
            chart.draw_series(bars)?;
        }
        legend(&mut chart)?;
        area.present()
    }
}
