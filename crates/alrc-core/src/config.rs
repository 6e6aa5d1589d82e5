//! The settings of a clipper.

use crate::error::ensure;
use crate::{Bounds, Error, LARGEST_LOSS, Moments};

/// Where losses are clipped. Numbers are standard deviations from the running mean, at least 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Limit {
    /// Losses above `mean + n * std` come down to it. The paper's layer.
    Above(f64),
    /// Losses below `mean - n * std` come up to it: a lower learning rate is raised.
    ///
    /// A loss near 0 is raised by a factor without limit: see [`Config::max_factor`].
    Below(f64),
    /// Both sides.
    Both {
        /// Standard deviations below the mean.
        below: f64,
        /// Standard deviations above the mean.
        above: f64,
    },
    /// Constant bounds, for comparison. The moments are still kept, and bound nothing.
    Fixed(Bounds),
}

/// The settings of a [`Clipper`](crate::Clipper), checked by [`Clipper::new`](crate::Clipper::new).
///
/// # Example
/// ```
/// use alrc_core::{Clipper, Config, Limit, Moments};
/// let config = Config { limit: Limit::Above(2.0), ..Config::default() };
/// let clipper = Clipper::new(config, Moments::default())?;
/// # Ok::<(), alrc_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Config {
    /// Where losses are clipped. Default: above 3 standard deviations.
    pub limit: Limit,
    /// The share of the moments that stays at each step: `0 <= decay < 1`. Default 0.999.
    ///
    /// One decay serves both moments; the published layer takes two, always equal in its use.
    pub decay: f64,
    /// Added to the variance, in the loss's units squared, at least 0. Default 1e-8.
    ///
    /// It is absolute: losses far below 1e-4 are never clipped at the default.
    pub epsilon: f64,
    /// `relative_epsilon * mean^2` is added to the variance as well, at least 0. Default 0.
    ///
    /// With `epsilon: 0.0`, clipping does not depend on the loss's scale.
    pub relative_epsilon: f64,
    /// Added to each loss before clipping and taken off after, in the loss's units. Default 0.
    ///
    /// For losses that can be negative: with an offset that makes all of them positive, scaling
    /// towards the bound keeps the gradient's direction. The factor becomes
    /// `(bound + offset) / (loss + offset)`. Bounds and moments stay in the loss's own units.
    pub offset: f64,
    /// The largest factor, at least 1. Default infinity: as far as the losses' type goes.
    ///
    /// Only losses below a lower bound, or between a negative bound and 0, have factors above 1.
    pub max_factor: f64,
}

/// The paper's settings.
impl Default for Config {
    fn default() -> Self {
        Self {
            limit: Limit::Above(3.0),
            decay: 0.999,
            epsilon: 1e-8,
            relative_epsilon: 0.0,
            offset: 0.0,
            max_factor: f64::INFINITY,
        }
    }
}

impl Config {
    /// Every valid range, once.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let deviations = |name, n: f64| {
            ensure(0.0 <= n && n < f64::INFINITY, name, n, "a finite number of at least 0")
        };
        match self.limit {
            Limit::Above(above) => deviations("limit above", above)?,
            Limit::Below(below) => deviations("limit below", below)?,
            Limit::Both { below, above } => {
                deviations("limit below", below)?;
                deviations("limit above", above)?;
            }
            Limit::Fixed(_) => {}
        }
        ensure(0.0 <= self.decay && self.decay < 1.0, "decay", self.decay, "0 <= decay < 1")?;
        for (name, x) in [("epsilon", self.epsilon), ("relative_epsilon", self.relative_epsilon)] {
            ensure(0.0 <= x && x < f64::INFINITY, name, x, "a finite number of at least 0")?;
        }
        let range = -LARGEST_LOSS..=LARGEST_LOSS;
        ensure(range.contains(&self.offset), "offset", self.offset, "-1e150 to 1e150")?;
        ensure(1.0 <= self.max_factor, "max_factor", self.max_factor, "at least 1")
    }

    /// The standard deviation that the bounds count in.
    #[inline]
    pub(crate) fn sigma(&self, moments: &Moments) -> f64 {
        let mean = moments.mean();
        let floor = self.epsilon + self.relative_epsilon * mean * mean;
        libm::sqrt(moments.variance() + floor).min(f64::MAX)
    }

    /// The bounds that follow from a mean and a [`sigma`](Self::sigma); without them, open ones unless
    /// they are fixed.
    #[inline]
    pub(crate) fn bounds(&self, mean_and_sigma: Option<(f64, f64)>) -> Bounds {
        if let Limit::Fixed(bounds) = self.limit {
            return bounds;
        }
        let Some((mean, sigma)) = mean_and_sigma else {
            return Bounds::NONE;
        };
        let (lower, upper) = match self.limit {
            Limit::Above(n) => (f64::NEG_INFINITY, mean + n * sigma),
            Limit::Below(n) => (mean - n * sigma, f64::INFINITY),
            Limit::Both { below, above } => (mean - below * sigma, mean + above * sigma),
            Limit::Fixed(bounds) => (bounds.lower(), bounds.upper()),
        };
        Bounds::computed(lower, upper)
    }
}
