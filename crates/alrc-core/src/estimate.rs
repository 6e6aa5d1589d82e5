//! A start without known moments: watch the first steps.

use crate::error::ensure;
use crate::{BatchMoments, Error, Limit, Moments};

/// Start moments estimated from the losses of the first steps, which pass unclipped.
///
/// The paper's advice where the scale of the losses is unknown: watch some steps, and start from
/// `overestimate` times their mean and `overestimate^2` times their mean square. Overestimates
/// decay; underestimates clip too much at first.
///
/// - With [`Limit::Above`] (and fixed bounds), the mean `m` becomes
///   `m + (overestimate - 1) * |m + offset|`, which is `overestimate * m` for positive losses
///   without an offset, and the variance is multiplied by `overestimate^2`.
/// - With a lower bound, a larger mean would raise every loss. There the mean stays, and the
///   variance becomes `overestimate^2` times the mean square of loss plus offset, which is wide on
///   both sides.
///
/// # Example
/// ```
/// use alrc_core::{Clipper, Config, Estimate};
/// let mut clipper = Clipper::new(Config::default(), Estimate::default())?;
/// for _ in 0..10 {
///     assert_eq!(clipper.moments(), None);
///     clipper.clip(&mut [2.0_f32, 4.0])?; // unclipped
/// }
/// let start = clipper.moments().expect("estimated");
/// assert_eq!((start.mean(), start.variance()), (9.0, 9.0));
/// # Ok::<(), alrc_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Parts"))]
pub struct Estimate {
    steps: u32,
    overestimate: f64,
    seen: u32,
    losses: BatchMoments,
}

impl Estimate {
    /// Watches `steps` batches, and overestimates by the factor `overestimate`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless `steps >= 1` and `1 <= overestimate <= 1e6`.
    pub fn new(steps: u32, overestimate: f64) -> Result<Self, Error> {
        Self::resume(steps, overestimate, 0, BatchMoments::new())
    }

    /// An estimation that has already seen the `losses` of `seen` batches.
    ///
    /// # Errors
    /// As [`Estimate::new`], and unless `seen < steps` and `losses` is empty only where `seen` is 0.
    pub fn resume(
        steps: u32,
        overestimate: f64,
        seen: u32,
        losses: BatchMoments,
    ) -> Result<Self, Error> {
        ensure(1 <= steps, "steps", f64::from(steps), "at least 1")?;
        let valid = "a factor from 1 to 1e6";
        ensure((1.0..=1e6).contains(&overestimate), "overestimate", overestimate, valid)?;
        ensure(seen < steps, "seen", f64::from(seen), "less than steps")?;
        let consistent = (seen == 0) == (losses.count() == 0) && u64::from(seen) <= losses.count();
        let valid = "at least one loss for each batch seen";
        ensure(consistent, "losses", losses.count() as f64, valid)?;
        Ok(Self { steps, overestimate, seen, losses })
    }

    /// How many batches are watched in all.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The factor by which the moments are overestimated.
    pub fn overestimate(&self) -> f64 {
        self.overestimate
    }

    /// How many batches have been seen.
    pub fn seen(&self) -> u32 {
        self.seen
    }

    /// The moments of all losses seen.
    pub fn losses(&self) -> &BatchMoments {
        &self.losses
    }

    /// Takes in one more batch; the start moments once it was the last.
    pub(crate) fn add(
        &mut self,
        batch: &BatchMoments,
        limit: Limit,
        offset: f64,
    ) -> Option<Moments> {
        self.losses.merge(batch);
        self.seen += 1;
        if self.seen < self.steps {
            return None;
        }
        let (mean, variance) = (self.losses.mean(), self.losses.variance());
        let (shifted, square) = (mean + offset, self.overestimate * self.overestimate);
        Some(match limit {
            Limit::Above(_) | Limit::Fixed(_) => Moments::saturating(
                mean + (self.overestimate - 1.0) * shifted.abs(),
                square * variance,
            ),
            Limit::Below(_) | Limit::Both { .. } => {
                Moments::saturating(mean, square * (variance + shifted * shifted))
            }
        })
    }

    /// The estimation of losses that are `factor` times as large.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        Self { losses: self.losses.scaled(factor), ..*self }
    }
}

/// 10 steps, overestimated 3 times.
impl Default for Estimate {
    fn default() -> Self {
        Self { steps: 10, overestimate: 3.0, seen: 0, losses: BatchMoments::new() }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    steps: u32,
    overestimate: f64,
    seen: u32,
    losses: BatchMoments,
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for Estimate {
    type Error = Error;
    fn try_from(p: Parts) -> Result<Self, Error> {
        Self::resume(p.steps, p.overestimate, p.seen, p.losses)
    }
}
