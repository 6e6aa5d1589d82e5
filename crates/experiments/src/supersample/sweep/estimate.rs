//! How long runs will take, from a few steps of each kind.

use crate::clock::Clock;
use crate::run::Experiment;
use crate::supersample::{Data, Settings, Trainer};
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Seconds a step, by what they depend on: width and batch.
#[derive(Debug, Default)]
pub struct StepTimes(BTreeMap<(usize, usize), f64>);

impl StepTimes {
    /// Times steps of runs like this one, unless it was done before; on the threads of the pool that
    /// this is called in.
    ///
    /// # Errors
    /// A step fails.
    pub fn measure(&mut self, settings: &Settings, data: &Data) -> Result<f64> {
        let kind = (settings.width, settings.batch);
        if let Some(&seconds) = self.0.get(&kind) {
            return Ok(seconds);
        }
        let mut trainer = Trainer::new(settings, data)?;
        let mut batches = trainer.batches(0)?;
        let (mut best, started) = (f64::INFINITY, Instant::now());
        // The first steps fill caches and buffers.
        for step in 1.. {
            let begun = Instant::now();
            trainer.step(batches.wait()?, step, &mut Clock::default())?;
            best = best.min(begun.elapsed().as_secs_f64());
            if step >= 3 && started.elapsed() > Duration::from_millis(300) {
                break;
            }
        }
        self.0.insert(kind, best);
        Ok(best)
    }
}

/// How long it takes until all are done, so many side by side, each as it becomes possible.
pub fn side_by_side(seconds: impl IntoIterator<Item = f64>, jobs: usize) -> f64 {
    let mut busy_until = vec![0.0_f64; jobs.max(1)];
    for duration in seconds {
        busy_until.sort_by(f64::total_cmp);
        busy_until[0] += duration;
    }
    busy_until.into_iter().fold(0.0, f64::max)
}

/// Seconds as people say them.
pub fn spoken(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} seconds"),
        s if s < 100.0 * 60.0 => format!("{:.0} minutes", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.1} hours", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{side_by_side, spoken};

    #[test]
    fn runs_fill_the_gaps() {
        assert_eq!(side_by_side([5.0, 3.0, 3.0], 2), 6.0);
        assert_eq!(side_by_side([5.0, 3.0, 3.0], 1), 11.0);
        assert_eq!(side_by_side([], 4), 0.0);
        assert_eq!([spoken(45.0), spoken(600.0)], ["45 seconds", "10 minutes"]);
        assert_eq!([spoken(7_200.0), spoken(260_000.0)], ["2.0 hours", "3.0 days"]);
    }
}
