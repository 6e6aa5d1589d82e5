//! Learning curves in panels side by side, as PNG and SVG.

use super::{FONT, legend, prepare_font, write_png};
use crate::files::write_whole;
use crate::metrics::boxcar;
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

/// One curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The arm: curves of one arm share a colour and one line in the legend.
    pub arm: usize,
    /// Step and loss.
    pub points: Vec<(f64, f64)>,
    /// Step, lowest and highest loss of what the curve is the mean of; empty without.
    pub band: Vec<(f64, f64, f64)>,
    /// Whether training ended here because losses were not finite any more.
    pub broke: bool,
}

impl Curve {
    /// Of the losses of a run's steps: means over `width` steps, at 800 to 1,600 places.
    pub fn of_losses(arm: usize, losses: &[f32], width: usize) -> Self {
        let means = boxcar(losses.iter().copied(), width);
        // The first means are over few steps and only noise.
        let points = means.iter().enumerate().skip(width.min(means.len()) / 4);
        let points = points.step_by((means.len() / 800).max(1));
        Self {
            arm,
            points: points.map(|(i, &mean)| ((i + 1) as f64, mean)).collect(),
            band: Vec::new(),
            broke: means.len() < losses.len(),
        }
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
pub(super) fn colour(arm: usize) -> RGBColor {
    let RGBColor(r, g, b) = COLOURS[arm % COLOURS.len()];
    if arm < COLOURS.len() {
        return RGBColor(r, g, b);
    }
    let [r, g, b] = [r, g, b].map(|part| 127 + part / 2);
    RGBColor(r, g, b)
}

const PANEL: (u32, u32) = (860, 680);

impl Curves {
    /// Writes `name.png` and `name.svg` into a folder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        prepare_font();
        let (width, height) = self.size();
        let mut pixels = vec![0; (width * height * 3) as usize];
        self.draw(BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area())?;
        write_png(&folder.join(format!("{name}.png")), &pixels, width, height)?;
        write_whole(&folder.join(format!("{name}.svg")), self.svg()?.as_bytes())
    }

    /// The figure as SVG.
    ///
    /// # Errors
    /// It cannot be drawn.
    pub fn svg(&self) -> Result<String> {
        let mut text = String::new();
        self.draw(SVGBackend::with_string(&mut text, self.size()).into_drawing_area())?;
        Ok(text)
    }

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

    fn size(&self) -> (u32, u32) {
        let (rows, columns) = self.shape();
        (PANEL.0 * columns as u32, PANEL.1 * rows as u32)
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

    fn draw<B: DrawingBackend>(&self, area: DrawingArea<B, Shift>) -> Result<()> {
        let failed = |error: DrawingAreaErrorKind<B::ErrorType>| anyhow!("figure: {error}");
        area.fill(&WHITE).map_err(failed)?;
        let (low, high) = self.range();
        let points = self.panels.iter().flat_map(|panel| &panel.curves);
        let last = points.filter_map(|curve| curve.points.last()).map(|point| point.0);
        let last = last.fold(1.0, f64::max);
        for (number, (panel, area)) in
            self.panels.iter().zip(area.split_evenly(self.shape())).enumerate()
        {
            let mut chart = ChartBuilder::on(&area)
                .caption(&panel.title, (FONT, if panel.title.len() > 44 { 24 } else { 34 }))
                .margin(18)
                .margin_right(36)
                .x_label_area_size(84)
                .y_label_area_size(110)
                .build_cartesian_2d(
                    0.0..last,
                    (low..high).log_scale().with_key_points(ticks(low, high)),
                )
                .map_err(failed)?;
            chart
                .configure_mesh()
                .x_desc(&self.x_label)
                .y_desc(if number.is_multiple_of(self.shape().1) { &self.y_label } else { "" })
                .x_labels(5)
                .y_labels(8)
                .label_style((FONT, 28))
                .axis_desc_style((FONT, 30))
                .light_line_style(RGBColor(244, 244, 244))
                .bold_line_style(RGBColor(225, 225, 225))
                .x_label_formatter(&|x| format!("{x:.0}"))
                .y_label_formatter(&|y| short(*y))
                .draw()
                .map_err(failed)?;
            let mut named = vec![false; self.arms.len()];
            for curve in &panel.curves {
                let band = curve.band.iter().map(|&(x, low, _)| (x, low));
                let back = curve.band.iter().rev().map(|&(x, _, high)| (x, high));
                let outline = band.chain(back).map(|(x, y)| (x, y.clamp(low, high)));
                let shade = colour(curve.arm).mix(0.15);
                let shape = Polygon::new(outline.collect::<Vec<_>>(), shade.filled());
                chart.draw_series([shape]).map_err(failed)?;
            }
            for curve in &panel.curves {
                let colour = colour(curve.arm);
                // The first arm lies below the others: wider, it shows where they are equal.
                let style = colour.stroke_width(if curve.arm == 0 { 8 } else { 4 });
                let points = curve.points.iter().copied();
                let line = chart
                    .draw_series(LineSeries::new(
                        points.map(|(x, y)| (x, y.clamp(low, high))),
                        style,
                    ))
                    .map_err(failed)?;
                if !std::mem::replace(&mut named[curve.arm], true) {
                    line.label(&self.arms[curve.arm]).legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 44, y)], colour.stroke_width(6))
                    });
                }
                if let (true, Some(&(x, y))) = (curve.broke, curve.points.last()) {
                    let cross = Cross::new((x, y.clamp(low, high)), 14, colour.stroke_width(6));
                    chart.draw_series([cross]).map_err(failed)?;
                }
            }
            legend(&mut chart).map_err(failed)?;
        }
        area.present().map_err(failed)
    }
}

/// Round numbers in a range, for the labels of a logarithmic axis.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let steps: &[f64] =
        if high / low < 30.0 { &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0] } else { &[1.0, 3.0] };
    (-9..9)
        .flat_map(|exponent| steps.iter().map(move |step| step * 10.0_f64.powi(exponent)))
        .filter(|tick| (low..high).contains(tick))
        .collect()
}

/// A loss as a short label.
pub(super) fn short(loss: f64) -> String {
    if loss >= 10.0 { format!("{loss:.0}") } else { format!("{loss:.1}") }
}
