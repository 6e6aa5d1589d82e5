//! `curve.csv`: a run's learning curve at a few hundred steps, small enough to be kept for good.

use crate::files::write_whole;
use crate::metrics::Record;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Places along a curve.
const POINTS: u64 = 200;

/// One place: means over the steps before it, NaN where a loss of them is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The last of the steps.
    pub step: u64,
    /// The mean of the losses themselves.
    pub raw: f64,
    /// The mean of the losses that would be minimised without clipping.
    pub unclipped: f64,
}

/// How many steps a point of a curve of so many steps is the mean of: 500, but at most a twentieth.
pub fn width(steps: u64) -> u64 {
    (steps / 20).clamp(1, 500)
}

/// The curve of a run of `asked` steps from its rows so far, one a step.
pub fn points<R: Record>(rows: &[R], asked: u64) -> Vec<Point> {
    let rounded = |mean: f64| (mean * 1e5).round() / 1e5;
    let unclipped = means(rows, asked, R::unclipped);
    let both = means(rows, asked, R::raw).into_iter().zip(unclipped);
    both.map(|((step, raw), (_, unclipped))| Point {
        step,
        raw: rounded(raw),
        unclipped: rounded(unclipped),
    })
    .collect()
}

/// The last step and the mean of one of the losses at each point of a curve.
pub fn means<R>(rows: &[R], asked: u64, loss: impl Fn(&R) -> f32) -> Vec<(u64, f64)> {
    let width = width(asked);
    let mut ends: Vec<u64> = (1..=POINTS).map(|i| asked * i / POINTS).collect();
    ends.retain(|&end| width <= end && end <= rows.len() as u64);
    ends.dedup();
    let mean = |end: u64| {
        let window = &rows[(end - width) as usize..end as usize];
        window.iter().map(|row| f64::from(loss(row))).sum::<f64>() / width as f64
    };
    ends.into_iter().map(|end| (end, mean(end))).collect()
}

/// Writes the file.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, points: &[Point]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    points.iter().try_for_each(|point| writer.serialize(point))?;
    write_whole(path, &writer.into_inner()?)
}

/// Reads the file.
///
/// # Errors
/// It is missing or not of this form: the message names the line.
pub fn read(path: &Path) -> Result<Vec<Point>> {
    let named = || path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(named)?;
    reader.deserialize().collect::<Result<_, _>>().with_context(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Serialize, Deserialize)]
    struct Loss(u64, f32);

    impl Record for Loss {
        fn step(&self) -> u64 {
            self.0
        }
        fn raw(&self) -> f32 {
            self.1
        }
        fn unclipped(&self) -> f32 {
            2.0 * self.1
        }
        fn clipped_count(&self) -> Option<u64> {
            None
        }
        fn skipped(&self) -> bool {
            false
        }
    }

    #[test]
    fn means_over_the_steps_before_each_point() {
        let rows: Vec<Loss> = (1..=1_000).map(|step| Loss(step, step as f32)).collect();
        let whole = points(&rows, 1_000);
        assert_eq!((width(1_000), whole.len()), (50, 191)); // the first 9 ends are before step 50
        assert_eq!(whole[0], Point { step: 50, raw: 25.5, unclipped: 51.0 });
        assert_eq!(whole[190], Point { step: 1_000, raw: 975.5, unclipped: 1951.0 });
        let part = points(&rows[..500], 1_000);
        assert_eq!(part, whole[..part.len()]);
        assert_eq!(part.last().map(|point| point.step), Some(500));
    }

    #[test]
    fn losses_that_are_not_finite_leave_gaps_and_files_come_back() {
        let mut rows: Vec<Loss> = (1..=200).map(|step| Loss(step, 1.0)).collect();
        rows[99].1 = f32::NAN;
        let curve = points(&rows, 200);
        let gaps: Vec<u64> = curve.iter().filter(|p| p.raw.is_nan()).map(|p| p.step).collect();
        assert_eq!(gaps, (100..110).collect::<Vec<_>>()); // width 10
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        write(&path, &curve).unwrap();
        assert_eq!(format!("{:?}", read(&path).unwrap()), format!("{curve:?}"));
    }
}
