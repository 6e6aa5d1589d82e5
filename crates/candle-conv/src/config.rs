//! What a convolution is told besides its weights.

use crate::Activation;

/// Rows and columns of zeros around a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Above the first row and left of the first column.
    pub before: usize,
    /// Below the last row and right of the last column.
    pub after: usize,
}

impl From<usize> for Padding {
    /// The same on all sides.
    fn from(each: usize) -> Self {
        Self { before: each, after: each }
    }
}

/// The settings of a convolution or a transposed convolution.
///
/// # Example
/// ```
/// use candle_conv::{Activation, ConvConfig, Padding};
/// // TensorFlow's "same" padding for a 3x3 kernel with stride 2, on an even side.
/// let config = ConvConfig {
///     padding: Padding { before: 0, after: 1 },
///     stride: 2,
///     activation: Activation::LeakyRelu(0.01),
///     ..ConvConfig::default()
/// };
/// assert_eq!((config.dilation, config.groups), (1, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvConfig {
    /// Zeros around the pictures: those that go in, or, of a transposed convolution, rows and
    /// columns cut off its result.
    pub padding: Padding,
    /// Pixels from one place of the kernel to the next; at least 1.
    pub stride: usize,
    /// Pixels from one tap of the kernel to the next; at least 1. Above 1 Candle's own path is used.
    pub dilation: usize,
    /// Groups of channels that do not see each other; a divisor of both channel numbers. Above 1
    /// Candle's own path is used.
    pub groups: usize,
    /// Applied to the result, bias included.
    pub activation: Activation,
}

impl Default for ConvConfig {
    /// No padding, stride, dilation and groups 1, no activation.
    fn default() -> Self {
        let padding = Padding::default();
        Self { padding, stride: 1, dilation: 1, groups: 1, activation: Activation::None }
    }
}
