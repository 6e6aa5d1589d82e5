//! Convolutions of tensors.

use crate::{ConvConfig, FeatureMaps};
use candle_core::{Result, Tensor};

/// Convolves channels-last pictures: `activation(x * weight + bias)`.
///
/// - `x`: `[batch, height, width, inputs]`;
/// - `weight`: `[outputs, inputs / groups, rows, columns]`, as in `candle_nn::Conv2d`;
/// - `bias`: `[outputs]`;
/// - the result: `[batch, out_height, out_width, outputs]`, where
///   `out_height = (height + before + after - dilation * (rows - 1) - 1) / stride + 1`, with zeros
///   `before` and `after` as padding.
///
/// All gradients are computed, except that of an `x` that does not depend on any variable. Between
/// the layers of a network, [`FeatureMaps`] are faster.
///
/// # Errors
/// The shapes do not fit each other: the message gives them.
///
/// # Example
/// ```
/// use candle_conv::{Activation, ConvConfig, conv2d};
/// use candle_core::{DType, Device, Tensor};
/// let x = Tensor::ones((2, 8, 6, 3), DType::F32, &Device::Cpu)?;
/// let weight = Tensor::ones((4, 3, 3, 3), DType::F32, &Device::Cpu)?;
/// let bias = Tensor::zeros(4, DType::F32, &Device::Cpu)?;
/// let config =
///     ConvConfig { padding: 1.into(), activation: Activation::Relu, ..ConvConfig::default() };
/// let y = conv2d(&x, &weight, &bias, &config)?;
/// assert_eq!(y.dims(), [2, 8, 6, 4]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: &Tensor, config: &ConvConfig) -> Result<Tensor> {
    FeatureMaps::new(x)?.conv2d(weight, bias, config)?.into_tensor()
}

/// The transpose of a convolution of channels-last pictures (a "deconvolution"), with bias and
/// activation: `y[stride * i + k] += x[i] * weight[k]`, along each axis, then
/// `activation(y + bias)`.
///
/// - `x`: `[batch, height, width, inputs]`;
/// - `weight`: `[inputs, outputs, rows, columns]`, as in `candle_nn::ConvTranspose2d`;
/// - `bias`: `[outputs]`;
/// - the result: `[batch, out_height, out_width, outputs]`, where
///   `out_height = (height - 1) * stride + dilation * (rows - 1) + 1 - before - after`: as many rows
///   as the padding says are cut off.
///
/// # Errors
/// The shapes do not fit each other, or `groups` is not 1: the message gives them.
///
/// # Example
/// ```
/// use candle_conv::{ConvConfig, Padding, conv_transpose2d};
/// use candle_core::{DType, Device, Tensor};
/// let x = Tensor::ones((1, 4, 4, 8), DType::F32, &Device::Cpu)?;
/// let weight = Tensor::ones((8, 3, 3, 3), DType::F32, &Device::Cpu)?;
/// let bias = Tensor::zeros(3, DType::F32, &Device::Cpu)?;
/// // Twice the side: nine rows without the last.
/// let padding = Padding { before: 0, after: 1 };
/// let config = ConvConfig { padding, stride: 2, ..ConvConfig::default() };
/// let y = conv_transpose2d(&x, &weight, &bias, &config)?;
/// assert_eq!(y.dims(), [1, 8, 8, 3]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    config: &ConvConfig,
) -> Result<Tensor> {
    FeatureMaps::new(x)?.conv_transpose2d(weight, bias, config)?.into_tensor()
}
