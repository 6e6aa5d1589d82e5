//! The losses, one per picture.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// Which power of the error is averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LossKind {
    /// The square.
    #[default]
    Squared,
    /// The fourth power: unstable in small batches.
    Quartic,
}

/// `25 * mean over the picture of (target - output)^p`, of shape `[batch]`.
///
/// # Errors
/// The shapes differ.
pub fn raw_losses(kind: LossKind, output: &Tensor, target: &Tensor) -> Result<Tensor> {
    let square = (target - output)?.sqr()?;
    let power = match kind {
        LossKind::Squared => square,
        LossKind::Quartic => square.sqr()?,
    };
    power.flatten_from(1)?.mean(1)? * 25.0
}

/// From here on losses are replaced by their square root.
const LARGE: f64 = 50.0;

/// Losses of 50 and more become their square root, as published; others stay.
///
/// Gradients are finite for all finite losses: the root is never taken of a number below 50.
///
/// # Errors
/// The losses are not of a float type.
pub fn square_root_of_large(raw: &Tensor) -> Result<Tensor> {
    let is_small = raw.lt(LARGE)?;
    let floor = raw.zeros_like()?.affine(1.0, LARGE)?;
    let root = is_small.where_cond(&floor, raw)?.sqrt()?;
    is_small.where_cond(raw, &root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn values_and_gradients_of_the_square_root() {
        let raw = Var::new(&[0.0_f32, 49.9, 50.0, 6400.0], &Device::Cpu).unwrap();
        let loss = square_root_of_large(&raw).unwrap();
        let values = loss.to_vec1::<f32>().unwrap();
        assert_eq!(values, [0.0, 49.9, 50.0_f32.sqrt(), 80.0]);
        let gradients = loss.sum_all().unwrap().backward().unwrap();
        let gradients = gradients.get(&raw).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(gradients, [1.0, 1.0, 0.5 / 50.0_f32.sqrt(), 0.5 / 80.0]);
    }

    #[test]
    fn losses_that_are_not_finite_stay_so() {
        let raw = Tensor::new(&[f32::NAN, f32::INFINITY], &Device::Cpu).unwrap();
        let values = square_root_of_large(&raw).unwrap().to_vec1::<f32>().unwrap();
        assert!(values.iter().all(|value| !value.is_finite()));
    }
}
