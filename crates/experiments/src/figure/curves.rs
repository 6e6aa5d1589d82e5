//! Learning curves in panels side by side, as PNG and SVG.

use super::{FONT, Figure, axes, chart, colour, legend, ticks};
use crate::curve;
use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

/// One curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The arm: curves of one arm share a colour and one line in the legend.
    pub arm: usize,
    /// Step and loss.
    pub points: Vec<(f64, f64)>,
    /// Step, lowest and highest loss of what the curve is the mean of; empty without.
    pub band: Vec<(f64, f64, f64)>,
    /// Whether the losses after it are not finite.
    pub broke: bool,
}

impl Curve {
    /// Of the rows of a run that was asked for so many steps, by one of its losses.
    pub fn of_run<R>(arm: usize, rows: &[R], asked: u64, loss: impl Fn(&R) -> f32) -> Self {
        let means = curve::means(rows, asked, &loss).into_iter();
        let mut points: Vec<_> = means
            .filter(|(_, mean)| mean.is_finite())
            .map(|(step, mean)| (step as f64, mean))
            .collect();
        let lived = rows.iter().rposition(|row| loss(row).is_finite()).map_or(0, |last| last + 1);
        let broke = lived < rows.len();
        if broke {
            // Perhaps before the first point.
            let last = rows[..lived].iter().rev().take(curve::width(asked) as usize).map(&loss);
            let last: Vec<f64> = last.map(f64::from).filter(|loss| loss.is_finite()).collect();
            let mean = last.iter().sum::<f64>() / last.len() as f64;
            points.extend(mean.is_finite().then_some((lived as f64, mean)));
        }
        Self { arm, points, band: Vec::new(), broke }
    }
}

/// Curves over one pair of axes.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Above the panel.
    pub title: String,
    /// The curves.
    pub curves: Vec<Curve>,
}

/// A figure.
#[derive(Clone, Debug)]
pub struct Curves {
    /// Side by side, at most three in a row, with the same axes.
    pub panels: Vec<Panel>,
    /// The names of the arms.
    pub arms: Vec<String>,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
}

const PANEL: (u32, u32) = (860, 680);

impl Curves {
    /// Each panel as a figure of its own, as SVG.
    ///
    /// # Errors
    /// It cannot be drawn.
    pub fn each(&self) -> Result<Vec<String>> {
        let alone = |panel: &Panel| Self { panels: vec![panel.clone()], ..self.clone() }.svg();
        self.panels.iter().map(alone).collect()
    }

    /// Rows and columns of panels.
    fn shape(&self) -> (usize, usize) {
        let count = self.panels.len();
        let columns = if count == 4 { 2 } else { count.min(3) };
        (count.div_ceil(columns.max(1)), columns)
    }

    /// The lowest and the highest finite loss, a little widened, for logarithmic axes; what is more
    /// than 40 times the lowest is drawn at the upper edge.
    fn range(&self) -> (f64, f64) {
        let points = self.panels.iter().flat_map(|panel| &panel.curves);
        let losses = points.flat_map(|curve| &curve.points).map(|point| point.1);
        let positive = losses.filter(|loss| loss.is_finite() && *loss > 0.0);
        let (low, high) = positive
            .fold((f64::INFINITY, 0.0_f64), |(low, high), loss| (low.min(loss), high.max(loss)));
        if low > high { (1.0, 10.0) } else { (low / 1.2, high.min(low * 40.0) * 1.2) }
    }
}

impl Figure for Curves {
    fn size(&self) -> (u32, u32) {
        let (rows, columns) = self.shape();
        (PANEL.0 * columns as u32, PANEL.1 * rows as u32)
    }

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        area.fill(&WHITE)?;
        let (low, high) = self.range();
        let points = self.panels.iter().flat_map(|panel| &panel.curves);
        let last = points.filter_map(|curve| curve.points.last()).map(|point| point.0);
        let last = last.fold(1.0, f64::max);
        // One size for all titles.
        let longest = self.panels.iter().map(|panel| panel.title.len()).max().unwrap_or(0);
        let title = (FONT, if longest > 44 { 24 } else { 34 });
        for (number, (panel, area)) in
            self.panels.iter().zip(area.split_evenly(self.shape())).enumerate()
        {
            let mut chart = chart(&area).caption(&panel.title, title).build_cartesian_2d(
                0.0..last,
                (low..high).log_scale().with_key_points(ticks(low, high)),
            )?;
            let first = number.is_multiple_of(self.shape().1);
            axes(&mut chart, &self.x_label, if first { &self.y_label } else { "" })?;
            let mut named = vec![false; self.arms.len()];
            for curve in &panel.curves {
                let band = curve.band.iter().map(|&(x, low, _)| (x, low));
                let back = curve.band.iter().rev().map(|&(x, _, high)| (x, high));
                let outline = band.chain(back).map(|(x, y)| (x, y.clamp(low, high)));
                let shade = colour(curve.arm).mix(0.15);
                let shape = Polygon::new(outline.collect::<Vec<_>>(), shade.filled());
                chart.draw_series([shape])?;
            }
            for curve in &panel.curves {
                let colour = colour(curve.arm);
                // The first arm lies below the others: wider, it shows where they are equal.
                let style = colour.stroke_width(if curve.arm == 0 { 8 } else { 4 });
                let points = curve.points.iter().copied();
                let line = chart.draw_series(LineSeries::new(
                    points.map(|(x, y)| (x, y.clamp(low, high))),
                    style,
                ))?;
                if !std::mem::replace(&mut named[curve.arm], true) {
                    line.label(&self.arms[curve.arm]).legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 44, y)], colour.stroke_width(6))
                    });
                }
                if let (true, Some(&(x, y))) = (curve.broke, curve.points.last()) {
                    let cross = Cross::new((x, y.clamp(low, high)), 14, colour.stroke_width(6));
                    chart.draw_series([cross])?;
                }
            }
            legend(&mut chart)?;
        }
        area.present()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_where_the_losses_end() {
        let of = |losses: &[f32]| Curve::of_run(0, losses, 1_000, |&loss| loss);
        let whole = of(&[2.0; 1_000]);
        assert_eq!((whole.broke, whole.points.len()), (false, 191));
        // NaN from step 9 on: before the first mean over 50 steps.
        let mut early = vec![4.0; 8];
        early.extend([f32::NAN; 100]);
        let early = of(&early);
        assert_eq!((early.broke, early.points), (true, vec![(8.0, 4.0)]));
        // One step was skipped: a gap, and training went on.
        let mut gap = vec![3.0; 1_000];
        gap[499] = f32::INFINITY;
        let gap = of(&gap);
        assert_eq!((gap.broke, gap.points.last()), (false, Some(&(1_000.0, 3.0))));
        assert!(of(&[f32::NAN; 5]).points.is_empty());
    }
}
