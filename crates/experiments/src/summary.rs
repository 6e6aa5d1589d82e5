//! `summary.json`: a run in a few numbers.

use crate::files::write_whole;
use crate::metrics::Record;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// How a run ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It goes on, or was killed: resume it.
    Running,
    /// It was stopped by the user: resume it.
    Interrupted,
    /// All steps are done.
    Finished,
    /// Too many steps in a row had losses that are not finite.
    Diverged,
}

/// The numbers of a run. Means are absent where no step of the range had a finite loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How it ended.
    pub outcome: Outcome,
    /// Steps done.
    pub steps: u64,
    /// Mean `raw` loss over the last 5 % of the steps asked for.
    pub final_mean_raw: Option<f64>,
    /// Mean `unclipped` loss over the last 5 % of the steps asked for.
    pub final_mean_unclipped: Option<f64>,
    /// The largest finite `raw` loss of a step.
    pub max_raw: Option<f64>,
    /// Losses clipped.
    pub clipped_total: u64,
    /// Steps skipped.
    pub skipped_total: u64,
    /// Seconds spent training, over all resumed parts.
    pub seconds: f64,
    /// For people: why it ended, and what to try.
    pub message: String,
}

impl Summary {
    /// The numbers of a run of `asked` steps from its rows so far.
    pub fn new<R: Record>(
        rows: &[R],
        asked: u64,
        outcome: Outcome,
        seconds: f64,
        message: String,
    ) -> Self {
        let tail = asked - asked.div_ceil(20).max(1).min(asked);
        let last = || rows.iter().filter(|row| row.step() > tail);
        Self {
            outcome,
            steps: rows.last().map_or(0, Record::step),
            final_mean_raw: mean(last().map(Record::raw)),
            final_mean_unclipped: mean(last().map(Record::unclipped)),
            max_raw: rows
                .iter()
                .map(|row| f64::from(row.raw()))
                .filter(|raw| raw.is_finite())
                .reduce(f64::max),
            clipped_total: rows.iter().filter_map(Record::clipped_count).sum(),
            skipped_total: rows.iter().map(|row| u64::from(row.skipped())).sum(),
            seconds,
            message,
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, format!("{}\n", serde_json::to_string_pretty(self)?).as_bytes())
    }

    /// Reads the file.
    ///
    /// # Errors
    /// It is missing or not of this form.
    pub fn read(path: &Path) -> Result<Self> {
        let named = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(named)?;
        serde_json::from_str(&text).with_context(named)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            |value: Option<f64>| value.map_or_else(|| "none".into(), |x| format!("{x:.4}"));
        write!(
            f,
            "{}\nfinal mean loss: raw {}, unclipped {}; largest raw {}; {} losses clipped, {} steps \
             skipped; {:.1} seconds",
            self.message,
            number(self.final_mean_raw),
            number(self.final_mean_unclipped),
            number(self.max_raw),
            self.clipped_total,
            self.skipped_total,
            self.seconds
        )
    }
}

fn mean(values: impl Iterator<Item = f32>) -> Option<f64> {
    let finite = values.filter(|value| value.is_finite());
    let (sum, count) = finite.fold((0.0, 0_u32), |(sum, n), x| (sum + f64::from(x), n + 1));
    (count > 0).then(|| sum / f64::from(count))
}
