//! The range that losses are clipped to.

use crate::error::ensure;
use crate::{Error, LARGEST_LOSS};

/// The range of losses that pass unchanged, in the loss's units, both ends included.
///
/// # Example
/// ```
/// use alrc_core::Bounds;
/// let bounds = Bounds::new(None, Some(50.0))?;
/// assert_eq!(bounds.upper(), 50.0);
/// assert_eq!(bounds.lower(), f64::NEG_INFINITY);
/// # Ok::<(), alrc_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Parts", into = "Parts"))]
pub struct Bounds {
    lower: f64,
    upper: f64,
}

impl Bounds {
    /// No bounds: every loss passes.
    pub const NONE: Self = Self { lower: f64::NEG_INFINITY, upper: f64::INFINITY };

    /// Bounds at fixed losses; `None` leaves a side open.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless each bound is at most `1e150` in magnitude and
    /// `lower <= upper`.
    pub fn new(lower: Option<f64>, upper: Option<f64>) -> Result<Self, Error> {
        let range = -LARGEST_LOSS..=LARGEST_LOSS;
        let valid = "a bound from -1e150 to 1e150";
        for (name, bound) in [("lower bound", lower), ("upper bound", upper)] {
            let value = bound.unwrap_or(0.0);
            ensure(range.contains(&value), name, value, valid)?;
        }
        let bounds =
            Self::computed(lower.unwrap_or(f64::NEG_INFINITY), upper.unwrap_or(f64::INFINITY));
        let valid = "an upper bound of at least the lower bound";
        ensure(bounds.lower <= bounds.upper, "upper bound", bounds.upper, valid)?;
        Ok(bounds)
    }

    /// For bounds that are in order because of how they were computed.
    #[inline]
    pub(crate) fn computed(lower: f64, upper: f64) -> Self {
        Self { lower, upper }
    }

    /// Losses below this are clipped; negative infinity where that side is open.
    #[inline]
    pub fn lower(&self) -> f64 {
        self.lower
    }

    /// Losses above this are clipped; infinity where that side is open.
    #[inline]
    pub fn upper(&self) -> f64 {
        self.upper
    }
}

/// Open sides are `None`: not every format knows infinity.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    #[serde(default)]
    lower: Option<f64>,
    #[serde(default)]
    upper: Option<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for Bounds {
    type Error = Error;
    fn try_from(parts: Parts) -> Result<Self, Error> {
        Self::new(parts.lower, parts.upper)
    }
}

#[cfg(feature = "serde")]
impl From<Bounds> for Parts {
    fn from(bounds: Bounds) -> Self {
        let closed = |bound: f64| bound.is_finite().then_some(bound);
        Self { lower: closed(bounds.lower), upper: closed(bounds.upper) }
    }
}
