//! What can be wrong with settings and losses.

use core::fmt;

/// An error of this crate. After an error nothing has changed: not the moments, not the losses.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A batch without losses has no mean.
    EmptyBatch,
    /// A batch with losses that are NaN, infinite, or larger in magnitude than
    /// [`LARGEST_LOSS`](crate::LARGEST_LOSS).
    BadLoss {
        /// Position of the first such loss in the batch, counted from 0.
        index: usize,
        /// Its value.
        value: f64,
        /// How many of the batch's losses are so.
        count: usize,
    },
    /// The buffer for the factors is not as long as the batch.
    LengthMismatch {
        /// Number of losses.
        losses: usize,
        /// Number of places for factors.
        factors: usize,
    },
    /// A setting or a start value lies outside its valid range.
    OutOfRange {
        /// Its name, as in the documentation.
        name: &'static str,
        /// The value that was given.
        value: f64,
        /// The valid range.
        valid: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::EmptyBatch => f.write_str("the batch holds no losses; expected at least one"),
            Self::BadLoss { index, value, count } => write!(
                f,
                "loss {index} of the batch (counted from 0) is {value}, and {count} in all are not \
                 usable; expected finite losses of at most {:e} in magnitude; the moments are \
                 unchanged, skip this step or lower the learning rate",
                crate::LARGEST_LOSS
            ),
            Self::LengthMismatch { losses, factors } => write!(
                f,
                "{losses} losses but room for {factors} factors; expected as many factors as losses"
            ),
            Self::OutOfRange { name, value, valid } => {
                write!(f, "{name} is {value}; expected {valid}")
            }
        }
    }
}

impl core::error::Error for Error {}

/// `Ok` where `ok` holds, else an error that names the value and its valid range.
pub(crate) fn ensure(
    ok: bool,
    name: &'static str,
    value: f64,
    valid: &'static str,
) -> Result<(), Error> {
    if ok { Ok(()) } else { Err(Error::OutOfRange { name, value, valid }) }
}
