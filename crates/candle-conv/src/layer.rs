//! Layers: weights and settings of a convolution together.

use crate::{ConvConfig, FeatureMaps, conv_transpose2d, conv2d};
use candle_core::{Module, Result, Tensor};

/// A convolution of channels-last pictures, otherwise like `candle_nn::Conv2d`.
///
/// # Example
/// ```
/// use candle_conv::{Conv2d, ConvConfig};
/// use candle_core::{DType, Device, Module, Tensor, Var};
/// let weight = Var::randn(0_f32, 0.1, (4, 3, 5, 5), &Device::Cpu)?;
/// let bias = Var::zeros(4, DType::F32, &Device::Cpu)?;
/// let config = ConvConfig { padding: 2.into(), ..ConvConfig::default() };
/// let layer = Conv2d::new(weight.as_tensor().clone(), bias.as_tensor().clone(), config);
/// let y = layer.forward(&Tensor::zeros((1, 9, 9, 3), DType::F32, &Device::Cpu)?)?;
/// assert_eq!(y.dims(), [1, 9, 9, 4]);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    config: ConvConfig,
}

impl Conv2d {
    /// A layer with weights `[outputs, inputs / groups, rows, columns]` and a bias `[outputs]`.
    pub fn new(weight: Tensor, bias: Tensor, config: ConvConfig) -> Self {
        Self { weight, bias, config }
    }

    /// The layer's result for maps; see [`FeatureMaps::conv2d`].
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn maps(&self, x: &FeatureMaps) -> Result<FeatureMaps> {
        x.conv2d(&self.weight, &self.bias, &self.config)
    }

    /// The layer's result plus a residual; see [`FeatureMaps::conv2d_plus`].
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn maps_plus(&self, x: &FeatureMaps, residual: &FeatureMaps) -> Result<FeatureMaps> {
        x.conv2d_plus(&self.weight, &self.bias, &self.config, residual)
    }
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        conv2d(x, &self.weight, &self.bias, &self.config)
    }
}

/// A transposed convolution of channels-last pictures, otherwise like `candle_nn::ConvTranspose2d`.
#[derive(Clone, Debug)]
pub struct ConvTranspose2d {
    weight: Tensor,
    bias: Tensor,
    config: ConvConfig,
}

impl ConvTranspose2d {
    /// A layer with weights `[inputs, outputs, rows, columns]` and a bias `[outputs]`.
    pub fn new(weight: Tensor, bias: Tensor, config: ConvConfig) -> Self {
        Self { weight, bias, config }
    }

    /// The layer's result for maps; see [`FeatureMaps::conv_transpose2d`].
    ///
    /// # Errors
    /// The shapes do not fit each other.
    pub fn maps(&self, x: &FeatureMaps) -> Result<FeatureMaps> {
        x.conv_transpose2d(&self.weight, &self.bias, &self.config)
    }
}

impl Module for ConvTranspose2d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        conv_transpose2d(x, &self.weight, &self.bias, &self.config)
    }
}
