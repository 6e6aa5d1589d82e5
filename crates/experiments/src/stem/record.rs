//! A row of `metrics.csv`.

use crate::limiter::ClipRecord;
use crate::metrics::Record;
use serde::{Deserialize, Serialize};

/// One step. Columns of the clipping are blank where it is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Steps done, this one included.
    pub step: u64,
    /// The outer loss.
    pub outer_raw: f32,
    /// After clipping.
    pub outer_clipped: Option<f32>,
    /// The outer loss's upper bound.
    pub outer_upper: Option<f64>,
    /// The running mean that gave it.
    pub outer_mean: Option<f64>,
    /// The standard deviation that gave it.
    pub outer_std: Option<f64>,
    /// 1 if it was clipped.
    pub outer_clipped_count: Option<u64>,
    /// The inner loss.
    pub inner_raw: f32,
    /// After clipping.
    pub inner_clipped: Option<f32>,
    /// The inner loss's upper bound.
    pub inner_upper: Option<f64>,
    /// The running mean that gave it.
    pub inner_mean: Option<f64>,
    /// The standard deviation that gave it.
    pub inner_std: Option<f64>,
    /// 1 if it was clipped.
    pub inner_clipped_count: Option<u64>,
    /// Pixels of the crop that were not finite, and became the mean of the others.
    pub replaced_pixels: u64,
    /// 1 if the step was skipped because of losses that are not finite.
    pub skipped: u8,
    /// The learning rate.
    pub learning_rate: f64,
}

impl Row {
    /// Notes what clipping did to the outer loss.
    pub(super) fn note_outer(&mut self, record: Option<ClipRecord>) {
        let Some(record) = record else { return };
        self.outer_clipped = Some(record.clipped);
        self.outer_upper = record.upper;
        self.outer_mean = record.mean;
        self.outer_std = record.std;
        self.outer_clipped_count = Some(record.count);
    }

    /// Notes what clipping did to the inner loss.
    pub(super) fn note_inner(&mut self, record: Option<ClipRecord>) {
        let Some(record) = record else { return };
        self.inner_clipped = Some(record.clipped);
        self.inner_upper = record.upper;
        self.inner_mean = record.mean;
        self.inner_std = record.std;
        self.inner_clipped_count = Some(record.count);
    }
}

impl Record for Row {
    fn step(&self) -> u64 {
        self.step
    }
    /// Of both losses, whose sum is minimised.
    fn raw(&self) -> f32 {
        self.outer_raw + self.inner_raw
    }
    fn unclipped(&self) -> f32 {
        self.raw()
    }
    fn clipped_count(&self) -> Option<u64> {
        Some(self.outer_clipped_count? + self.inner_clipped_count?)
    }
    fn skipped(&self) -> bool {
        self.skipped != 0
    }
}
