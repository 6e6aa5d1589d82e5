//! Count, mean and variance of a batch of losses, mergeable over workers.

use crate::error::ensure;
use crate::{Error, LARGEST_LOSS};

/// Count, mean and population variance of some losses.
///
/// Two of them merge into what one pass over all their losses gives (Chan, Golub, LeVeque,
/// "Updating formulae and a pairwise algorithm for computing sample variances", 1979), to
/// rounding. Workers that share a [`Clipper`](crate::Clipper)'s bounds merge theirs and
/// [`observe`](crate::Clipper::observe) the sum; to end with bitwise equal moments, they all merge
/// in the same order.
///
/// # Example
/// ```
/// use alrc_core::BatchMoments;
/// let mut a: BatchMoments = [1.0, 2.0].into_iter().collect();
/// let b: BatchMoments = [3.0, 6.0].into_iter().collect();
/// a.merge(&b);
/// assert_eq!((a.count(), a.mean(), a.variance()), (4, 3.0, 3.5));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Parts"))]
pub struct BatchMoments {
    count: u64,
    mean: f64,
    variance: f64,
}

impl BatchMoments {
    /// The moments of no losses: count, mean and variance 0.
    pub const fn new() -> Self {
        Self { count: 0, mean: 0.0, variance: 0.0 }
    }

    /// From a count, a mean and a population variance, for example sent by another worker.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless `|mean| <= 1e150` and `0 <= variance <= 1e300`.
    pub fn from_parts(count: u64, mean: f64, variance: f64) -> Result<Self, Error> {
        if count == 0 {
            return Ok(Self::new());
        }
        check(mean, variance)?;
        Ok(Self { count, mean, variance })
    }

    /// For values that are already known to be in range, up to rounding.
    #[inline]
    pub(crate) fn saturating(count: u64, mean: f64, variance: f64) -> Self {
        let (mean, variance) = saturate(mean, variance);
        Self { count, mean, variance }
    }

    /// Of one usable loss.
    #[inline]
    pub(crate) fn of_one(loss: f64) -> Self {
        Self { count: 1, mean: loss, variance: 0.0 }
    }

    /// Adds the losses of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let count = self.count.saturating_add(other.count);
        let share = other.count as f64 / count as f64;
        let delta = other.mean - self.mean;
        let within = self.variance + (other.variance - self.variance) * share;
        let mean = self.mean + delta * share;
        *self = Self::saturating(count, mean, within + delta * delta * share * (1.0 - share));
    }

    /// Number of losses.
    #[inline]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean; 0 of no losses.
    #[inline]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Population variance (divided by the count); 0 of no losses and of one.
    #[inline]
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// Sum of the squared deviations from the mean: count times variance.
    pub fn sum_of_squares(&self) -> f64 {
        self.count as f64 * self.variance
    }

    /// The moments of the same losses, each times `factor`.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        Self::saturating(self.count, self.mean * factor, self.variance * factor * factor)
    }
}

/// One merge a loss. Losses are taken as they are: NaN and infinite ones are the caller's to reject.
impl FromIterator<f64> for BatchMoments {
    fn from_iter<I: IntoIterator<Item = f64>>(losses: I) -> Self {
        let mut all = Self::new();
        for mean in losses {
            all.merge(&Self::saturating(1, mean, 0.0));
        }
        all
    }
}

/// The valid range of a mean and a variance, written once.
pub(crate) fn check(mean: f64, variance: f64) -> Result<(), Error> {
    let largest = LARGEST_LOSS;
    ensure(-largest <= mean && mean <= largest, "mean", mean, "a mean from -1e150 to 1e150")?;
    let valid = "a variance from 0 to 1e300";
    ensure(0.0 <= variance && variance <= largest * largest, "variance", variance, valid)
}

/// Takes rounding at the very ends of the range back into it.
#[inline]
pub(crate) fn saturate(mean: f64, variance: f64) -> (f64, f64) {
    // Branches, which are foretold: the next step waits for these numbers.
    let largest = LARGEST_LOSS;
    let mean = if mean.abs() <= largest { mean } else { ends(mean, -largest, largest) };
    let widest = largest * largest;
    let good = 0.0 <= variance && variance <= widest;
    (mean, if good { variance } else { ends(variance, 0.0, widest) })
}

#[cold]
#[inline(never)]
fn ends(value: f64, low: f64, high: f64) -> f64 {
    value.clamp(low, high)
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    count: u64,
    mean: f64,
    variance: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for BatchMoments {
    type Error = Error;
    fn try_from(parts: Parts) -> Result<Self, Error> {
        Self::from_parts(parts.count, parts.mean, parts.variance)
    }
}
