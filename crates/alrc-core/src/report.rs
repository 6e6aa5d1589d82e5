//! What a step did.

use crate::{BatchMoments, Bounds, Moments};

/// What one step saw and did.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Report {
    /// The bounds that this batch was clipped to. They come from the moments *before* it.
    pub bounds: Bounds,
    /// The moments before this batch; `None` while the start is being estimated.
    pub moments: Option<Moments>,
    /// The standard deviation that the bounds count in: the square root of the variance before
    /// this batch plus the epsilons; NaN while the start is being estimated.
    pub sigma: f64,
    /// How many losses were above the upper bound.
    pub above: u64,
    /// How many losses were below the lower bound.
    pub below: u64,
    /// The largest loss as it came in.
    pub largest: f64,
    /// Count, mean and variance of the clipped losses: what this worker saw, for merging.
    pub batch: BatchMoments,
}

impl Report {
    /// How many losses were clipped, above and below.
    pub fn clipped(&self) -> u64 {
        self.above + self.below
    }
}
