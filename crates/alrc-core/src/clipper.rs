//! The clipper: bounds from the moments, clipping, learning.

use crate::error::ensure;
use crate::kernel::{self, Output};
use crate::{BatchMoments, Bounds, Config, Error, Estimate, Float, Moments, Report};

/// Where a clipper stands: a start, and a snapshot that restores exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum State {
    /// The start is being estimated; losses pass unclipped.
    Estimating(Estimate),
    /// The moments are known.
    Running(Moments),
}

impl From<Moments> for State {
    fn from(moments: Moments) -> Self {
        Self::Running(moments)
    }
}

impl From<Estimate> for State {
    fn from(estimate: Estimate) -> Self {
        Self::Estimating(estimate)
    }
}

/// Limits the losses of one loss function. Several loss heads take a clipper each.
///
/// # Example
/// ```
/// use alrc_core::{Clipper, Config, Moments};
/// let mut clipper = Clipper::new(Config::default(), Moments::default())?;
/// let mut losses = [10.0_f32, 500.0];
/// let report = clipper.clip(&mut losses)?;
/// assert_eq!(report.clipped(), 1);
/// assert_eq!(losses, [10.0, 74.749374]); // 25 + 3 * sqrt(275)
/// # Ok::<(), alrc_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Parts"))]
pub struct Clipper {
    config: Config,
    state: State,
}

impl Clipper {
    /// A clipper that starts from known [`Moments`], from an [`Estimate`], or from the
    /// [`state`](Self::state) of another.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] that names the setting, its value and its valid range.
    pub fn new(config: Config, start: impl Into<State>) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config, state: start.into() })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A snapshot: a clipper made from it and the same settings behaves as this one.
    pub fn state(&self) -> State {
        self.state
    }

    /// The running moments; `None` while the start is being estimated.
    #[inline]
    pub fn moments(&self) -> Option<Moments> {
        match self.state {
            State::Estimating(_) => None,
            State::Running(moments) => Some(moments),
        }
    }

    /// The bounds for the next batch; open while the start is being estimated.
    #[inline]
    pub fn bounds(&self) -> Bounds {
        self.config.bounds(self.moments().map(|it| (it.mean(), self.config.sigma(&it))))
    }

    /// Clips the losses in place, then learns from them.
    ///
    /// # Errors
    /// [`Error::EmptyBatch`] and [`Error::BadLoss`]; moments and losses are unchanged.
    #[inline(always)]
    pub fn clip<F: Float>(&mut self, losses: &mut [F]) -> Result<Report, Error> {
        let report = self.clip_only(losses)?;
        self.learn(report.batch);
        Ok(report)
    }

    /// Writes each loss's factor, the constant that its gradient is multiplied with, then learns.
    ///
    /// A clipped loss is `factor * (loss + offset) - offset`. The factor is exactly 1 inside the
    /// bounds and for `loss + offset == 0`; 0 where the bound has the other sign; never negative.
    ///
    /// # Errors
    /// [`Error::EmptyBatch`], [`Error::BadLoss`], [`Error::LengthMismatch`]; nothing has changed.
    #[inline(always)]
    pub fn factors<F: Float>(&mut self, losses: &[F], factors: &mut [F]) -> Result<Report, Error> {
        let report = self.factors_only(losses, factors)?;
        self.learn(report.batch);
        Ok(report)
    }

    /// As [`clip`](Self::clip), without learning: for evaluation, and for workers that share
    /// bounds, merge their reports' [`batch`](Report::batch) and then [`observe`](Self::observe)
    /// the sum.
    ///
    /// # Errors
    /// As [`clip`](Self::clip).
    #[inline(always)]
    pub fn clip_only<F: Float>(&self, losses: &mut [F]) -> Result<Report, Error> {
        self.report(Output::Clipped(losses))
    }

    /// As [`factors`](Self::factors), without learning.
    ///
    /// # Errors
    /// As [`factors`](Self::factors).
    #[inline(always)]
    pub fn factors_only<F: Float>(&self, losses: &[F], factors: &mut [F]) -> Result<Report, Error> {
        if losses.len() != factors.len() {
            let (losses, factors) = (losses.len(), factors.len());
            return Err(Error::LengthMismatch { losses, factors });
        }
        self.report(Output::Factors(losses, factors))
    }

    /// Learns from the clipped losses of one step, gathered over all workers.
    ///
    /// # Errors
    /// [`Error::EmptyBatch`]; the moments are unchanged.
    ///
    /// # Example
    /// ```
    /// use alrc_core::{Clipper, Config, Moments};
    /// let mut clipper = Clipper::new(Config::default(), Moments::default())?;
    /// let mut step = clipper.clip_only(&mut [1.0_f32, 900.0])?.batch; // one worker
    /// step.merge(&clipper.clip_only(&mut [3.0_f32, 4.0])?.batch); // another, at the same bounds
    /// clipper.observe(&step)?;
    /// # Ok::<(), alrc_core::Error>(())
    /// ```
    #[inline]
    pub fn observe(&mut self, batch: &BatchMoments) -> Result<(), Error> {
        if batch.count() == 0 {
            return Err(Error::EmptyBatch);
        }
        self.learn(*batch);
        Ok(())
    }

    /// Follows a change of the loss's scale on purpose, such as a new weight: from now on losses
    /// are `factor` times as large.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless `0 < factor <= 1e150`.
    pub fn rescale(&mut self, factor: f64) -> Result<(), Error> {
        let valid = "a factor above 0 and at most 1e150";
        ensure(0.0 < factor && factor <= crate::LARGEST_LOSS, "factor", factor, valid)?;
        self.state = match self.state {
            State::Estimating(estimate) => estimate.scaled(factor).into(),
            State::Running(moments) => moments.scaled(factor).into(),
        };
        Ok(())
    }

    /// Starts again, for example for a new phase of training.
    pub fn reset(&mut self, start: impl Into<State>) {
        self.state = start.into();
    }

    #[inline(always)]
    fn report<F: Float>(&self, output: Output<'_, F>) -> Result<Report, Error> {
        let moments = self.moments();
        let mean_and_sigma = moments.map(|it| (it.mean(), self.config.sigma(&it)));
        let bounds = self.config.bounds(mean_and_sigma);
        let pass = kernel::run(&self.config, bounds, output)?;
        Ok(Report {
            bounds,
            moments,
            sigma: mean_and_sigma.map_or(f64::NAN, |(_, sigma)| sigma),
            above: pass.above,
            below: pass.below,
            largest: pass.largest,
            batch: pass.batch,
        })
    }

    /// By value: a report that nothing points into need not be in memory.
    #[inline]
    fn learn(&mut self, batch: BatchMoments) {
        match &mut self.state {
            State::Running(moments) => *moments = moments.after(&batch, self.config.decay),
            State::Estimating(estimate) => {
                if let Some(start) = estimate.add(&batch, self.config.limit, self.config.offset) {
                    self.state = start.into();
                }
            }
        }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    config: Config,
    state: State,
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for Clipper {
    type Error = Error;
    fn try_from(parts: Parts) -> Result<Self, Error> {
        Self::new(parts.config, parts.state)
    }
}
