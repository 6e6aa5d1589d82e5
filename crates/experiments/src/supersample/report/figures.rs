//! Figures of a report.

use super::cells::{Cell, Cells, shown};
use crate::curve::{self, Point};
use crate::figure::batches::{Batches, Place};
use crate::figure::curves::{Curve, Curves, Panel};

/// Learning curves: a panel for each row of the tables, a curve with a band for each arm.
pub fn learning_curves(cells: &Cells<'_>) -> Curves {
    let panels = cells.conditions.iter().zip(&cells.cells).map(|(title, row)| Panel {
        title: if title.is_empty() { cells.common.clone() } else { title.clone() },
        curves: row
            .iter()
            .enumerate()
            .filter_map(|(arm, cell)| mean_curve(arm, cell.as_ref()?))
            .collect(),
    });
    let mut widths: Vec<u64> = cells
        .all()
        .flat_map(|(_, _, cell)| &cell.runs)
        .map(|run| curve::width(run.settings.steps))
        .collect();
    widths.sort_unstable();
    widths.dedup();
    let widths = widths.iter().map(u64::to_string).collect::<Vec<_>>().join(" or ");
    Curves {
        panels: panels.collect(),
        arms: arms(cells),
        x_label: "training step".into(),
        y_label: format!("training loss (mean of {widths} steps)"),
    }
}

fn arms(cells: &Cells<'_>) -> Vec<String> {
    cells.arms.iter().map(|arm| shown(arm).to_owned()).collect()
}

/// The mean over the repeats at each step that all of them have reached; the band is from the smallest
/// to the largest. A curve ends where the last repeat diverges.
fn mean_curve(arm: usize, cell: &Cell<'_>) -> Option<Curve> {
    let curves: Vec<&[Point]> = cell
        .runs
        .iter()
        .map(|run| run.curve.as_slice())
        .filter(|curve| !curve.is_empty())
        .collect();
    // Diverged runs end early: the others go on.
    let going = cell.runs.iter().filter(|run| !run.is_done()).filter(|run| !run.curve.is_empty());
    let reached = going.map(|run| run.curve.len()).min().unwrap_or(usize::MAX);
    let longest = curves.iter().map(|curve| curve.len()).max()?.min(reached);
    let (mut points, mut band) = (Vec::new(), Vec::new());
    for place in 0..longest {
        let there: Vec<&Point> = curves.iter().filter_map(|curve| curve.get(place)).collect();
        let finite: Vec<f64> =
            there.iter().map(|point| point.unclipped).filter(|loss| loss.is_finite()).collect();
        if finite.is_empty() {
            continue; // a step that was skipped, or the end
        }
        let step = there[0].step as f64;
        points.push((step, finite.iter().sum::<f64>() / finite.len() as f64));
        let (low, high) = finite
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
        band.push((step, low, high));
    }
    let broke = cell.diverged > 0 && cell.diverged == cell.done;
    let band = if curves.len() > 1 { band } else { Vec::new() };
    (!points.is_empty()).then_some(Curve { arm, points, band, broke })
}

/// Final losses against the batch, if there are several batches: a figure for each group of rows that
/// differ in the batch alone is not attempted; rows of one batch must not repeat.
pub fn against_batch(cells: &Cells<'_>) -> Option<Batches> {
    let mut batches = cells.batches.clone();
    batches.sort_unstable();
    batches.dedup();
    if batches.len() < 2 || batches.len() != cells.batches.len() {
        return None;
    }
    let places = |column: usize| {
        let mut places: Vec<Place> = cells
            .batches
            .iter()
            .zip(&cells.cells)
            .filter_map(|(&batch, row)| {
                let sample = row[column].as_ref()?.unclipped;
                let std = if sample.count > 1 { sample.std } else { 0.0 };
                (sample.count > 0).then_some(Place { batch, mean: sample.mean, std })
            })
            .collect();
        places.sort_by_key(|place| place.batch);
        places
    };
    let lines = (0..cells.arms.len()).map(places).collect();
    Some(Batches { arms: arms(cells), lines, y_label: "final training loss".into() })
}
