//! What can go wrong in the layer.

use candle_core::{DType, Shape};

/// An error of the layer. It converts into [`candle_core::Error`], so `?` works in functions that
/// return Candle's `Result`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Settings or losses that cannot be used; nothing has changed.
    #[error("ALRC: {0}")]
    Alrc(#[from] alrc_core::Error),
    /// The losses are not floating-point numbers.
    #[error("ALRC: losses of shape {shape:?} have type {dtype:?}; expected f16, bf16, f32 or f64")]
    LossType {
        /// Their shape.
        shape: Shape,
        /// Their type.
        dtype: DType,
    },
    /// Too many steps in a row had losses that are not finite.
    #[error(
        "ALRC: {in_a_row} steps in a row had losses that are not finite, the last one {value} at \
         position {index}; training has diverged: lower the learning rate, or go back to a \
         checkpoint"
    )]
    TooManySkips {
        /// How many steps in a row.
        in_a_row: u64,
        /// Position of the first bad loss in the last batch.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A saved state that cannot be loaded; the layer is unchanged.
    #[error("ALRC: saved tensor `{name}`: {problem}")]
    State {
        /// Name of the tensor.
        name: String,
        /// What is wrong with it, and what was expected.
        problem: String,
    },
    /// An error from Candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(error) => error,
            other => Self::wrap(other),
        }
    }
}
