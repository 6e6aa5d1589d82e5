//! A row of `metrics.csv`.

use crate::metrics::Record;
use serde::{Deserialize, Serialize};

/// One step. Losses are means over the batch; columns of the clipping are blank where it is off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Steps done, this one included.
    pub step: u64,
    /// The loss itself.
    pub raw: f32,
    /// After the square root of large losses, before clipping.
    pub unclipped: f32,
    /// After clipping: what is minimised.
    pub clipped: Option<f32>,
    /// The upper bound.
    pub upper: Option<f64>,
    /// The running mean that gave the bound.
    pub mean: Option<f64>,
    /// The standard deviation that gave the bound.
    pub std: Option<f64>,
    /// How many losses of the batch were clipped.
    pub clipped_count: Option<u64>,
    /// 1 if the step was skipped because of losses that are not finite.
    pub skipped: u8,
    /// The learning rate.
    pub learning_rate: f64,
}

impl Record for Row {
    fn step(&self) -> u64 {
        self.step
    }
    fn raw(&self) -> f32 {
        self.raw
    }
    fn unclipped(&self) -> f32 {
        self.unclipped
    }
    fn clipped_count(&self) -> Option<u64> {
        self.clipped_count
    }
    fn skipped(&self) -> bool {
        self.skipped != 0
    }
}
