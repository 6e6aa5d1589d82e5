//! The loss of each stage.

use candle_core::{Result, Tensor};

/// `200 * mean((target - output)^2)`, of shape `[1]`.
///
/// # Errors
/// The shapes differ.
pub fn raw_loss(output: &Tensor, target: &Tensor) -> Result<Tensor> {
    (target - output)?.sqr()?.mean_all()?.reshape(1)? * 200.0
}
