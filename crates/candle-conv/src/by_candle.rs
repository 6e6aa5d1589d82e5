//! The same results through Candle's own operations: on other devices, for other types, with
//! dilation or groups.

use crate::geometry::Geometry;
use crate::{Activation, ConvConfig};
use candle_core::{Result, Tensor};

/// Picture axes of Candle's channels-first tensors.
const ROWS: usize = 2;
const COLUMNS: usize = 3;

/// `activation(x * weight + bias)`; the geometry's kernel is the outline with dilation.
pub(crate) fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    g: &Geometry,
    config: &ConvConfig,
) -> Result<Tensor> {
    let mut x = x.permute((0, 3, 1, 2))?;
    for (axis, kernel, out) in [(ROWS, g.rows, g.out_height), (COLUMNS, g.columns, g.out_width)] {
        let padded = x.pad_with_zeros(axis, config.padding.before, config.padding.after)?;
        // Only what the kernel reaches: with a rest, Candle 0.11.1 takes the rows' for the columns'
        // too when it computes the gradient, and fails.
        x = padded.narrow(axis, 0, (out - 1) * config.stride + kernel)?;
    }
    let y = x.contiguous()?.conv2d(weight, 0, config.stride, config.dilation, config.groups)?;
    finish(&y, bias, config.activation)
}

/// The transposed convolution; `g` is that of the convolution which it transposes.
pub(crate) fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    g: &Geometry,
    config: &ConvConfig,
) -> Result<Tensor> {
    let x = x.permute((0, 3, 1, 2))?.contiguous()?;
    let whole = x.conv_transpose2d(weight, 0, 0, config.stride, config.dilation)?;
    let cut = whole.narrow(ROWS, config.padding.before, g.height)?;
    finish(&cut.narrow(COLUMNS, config.padding.before, g.width)?, bias, config.activation)
}

/// Adds the bias, applies the activation, and puts channels last.
fn finish(y: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    let y = y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?.permute((0, 2, 3, 1))?.contiguous()?;
    // Gradient 0 (or the slope) at 0, where Candle's own ReLU has 1; NaN stays NaN.
    let low = match activation {
        Activation::None => return Ok(y),
        Activation::Relu => {
            let constant = y.detach();
            constant.lt(0.0)?.where_cond(&constant.zeros_like()?, &constant)?
        }
        Activation::LeakyRelu(slope) => (&y * f64::from(slope))?,
    };
    y.gt(0.0)?.where_cond(&y, &low)
}
