//! The running moments of the loss.

use crate::batch::{check, saturate};
use crate::error::ensure;
use crate::{BatchMoments, Error};

/// Running mean and variance of the clipped losses, always finite, the variance never negative.
///
/// The paper keeps the raw moments `mu1` (mean) and `mu2` (mean square). Mean and variance say the
/// same and survive rounding: `mu2 - mu1^2` turns negative for nearly constant losses.
///
/// # Example
/// ```
/// use alrc_core::Moments;
/// let moments = Moments::from_raw(25.0, 900.0)?;
/// assert_eq!((moments.mean(), moments.variance()), (25.0, 275.0));
/// assert_eq!(moments, Moments::default());
/// assert!(Moments::from_raw(25.0, 600.0).is_err());
/// # Ok::<(), alrc_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Parts"))]
pub struct Moments {
    mean: f64,
    variance: f64,
}

impl Moments {
    /// From a mean and a variance, in the loss's units and their square.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless `|mean| <= 1e150` and `0 <= variance <= 1e300`.
    pub fn new(mean: f64, variance: f64) -> Result<Self, Error> {
        check(mean, variance)?;
        Ok(Self { mean, variance })
    }

    /// From the paper's raw moments: `mu1`, the mean, and `mu2`, the mean square.
    ///
    /// `mu2` below `mu1^2` by no more than rounding gives variance 0.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless `mu2 >= mu1^2`, `|mu1| <= 1e150`, `mu2 <= 1e300`.
    pub fn from_raw(mu1: f64, mu2: f64) -> Result<Self, Error> {
        let square = mu1 * mu1;
        let variance = mu2 - square;
        let valid = "a mean square of at least the mean's square (mu2 >= mu1^2)";
        ensure(-4.0 * f64::EPSILON * square <= variance, "mu2", mu2, valid)?;
        Self::new(mu1, variance.max(0.0))
    }

    /// For values that are already known to be in range, up to rounding.
    #[inline]
    pub(crate) fn saturating(mean: f64, variance: f64) -> Self {
        let (mean, variance) = saturate(mean, variance);
        Self { mean, variance }
    }

    /// Mean of the clipped losses.
    #[inline]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Variance of the clipped losses.
    #[inline]
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// Square root of the variance, without any epsilon.
    pub fn std_dev(&self) -> f64 {
        libm::sqrt(self.variance)
    }

    /// The raw moments `(mu1, mu2)`: mean and mean square.
    pub fn raw(&self) -> (f64, f64) {
        (self.mean, self.variance + self.mean * self.mean)
    }

    /// The moments after a batch, each moving `1 - decay` of the way to the batch's.
    ///
    /// Equal to exponential averages of the raw moments with one decay, in a form whose every term
    /// is positive: `decay*var + (1-decay)*batch_var + decay*(1-decay)*(mean - batch_mean)^2`.
    #[inline]
    pub(crate) fn after(&self, batch: &BatchMoments, decay: f64) -> Self {
        let delta = batch.mean() - self.mean;
        let gain = 1.0 - decay;
        let variance = decay * self.variance + gain * (batch.variance() + decay * delta * delta);
        Self::saturating(self.mean + gain * delta, variance)
    }

    /// The moments of losses that are `factor` times as large.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        Self::saturating(self.mean * factor, self.variance * factor * factor)
    }
}

/// The paper's start: mean 25, mean square 900.
impl Default for Moments {
    fn default() -> Self {
        Self { mean: 25.0, variance: 275.0 }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    mean: f64,
    variance: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for Moments {
    type Error = Error;
    fn try_from(parts: Parts) -> Result<Self, Error> {
        Self::new(parts.mean, parts.variance)
    }
}
