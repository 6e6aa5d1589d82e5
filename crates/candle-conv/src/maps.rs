//! Pictures inside a network.

use crate::ConvConfig;
use crate::buffer::Buffer;
use crate::by_candle;
use crate::geometry::Geometry;
use crate::method::Method;
use crate::operation::{Convolution, Enter, Leave};
use crate::values::{Slot, Values};
use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use std::sync::Arc;

/// Channels-last pictures `[batch, height, width, channels]` on their way through the convolutions
/// of a network.
///
/// Between convolutions they cost less than tensors: results and gradients are written once, into
/// memory that is used again, and sums with a residual are taken in the same pass. Make them of a
/// tensor at a network's start, and a tensor of them at its end; `backward` on what is computed from
/// that tensor gives all gradients as usual. On other devices and for other types they are tensors
/// inside, and all goes by Candle's own operations.
///
/// Walk one graph backwards in one thread at a time: gradients on their way are kept in the maps.
///
/// # Example
/// ```
/// use candle_conv::{Activation, ConvConfig, FeatureMaps};
/// use candle_core::{DType, Device, Tensor, Var};
/// let x = FeatureMaps::new(&Tensor::ones((2, 8, 8, 16), DType::F32, &Device::Cpu)?)?;
/// let weight = Var::ones((16, 16, 3, 3), DType::F32, &Device::Cpu)?;
/// let bias = Var::zeros(16, DType::F32, &Device::Cpu)?;
/// let config =
///     ConvConfig { padding: 1.into(), activation: Activation::Relu, ..ConvConfig::default() };
/// let inside = x.conv2d(&weight, &bias, &config)?;
/// let y = inside.conv2d_plus(&weight, &bias, &config, &x)?.to_tensor()?; // a residual block
/// assert_eq!(y.dims(), [2, 8, 8, 16]);
/// let gradients = y.mean_all()?.backward()?;
/// assert_eq!(gradients.get(&weight).unwrap().dims(), [16, 16, 3, 3]);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone)]
pub struct FeatureMaps(Maps);

#[derive(Clone)]
enum Maps {
    Fast(Fast),
    Tensor(Tensor),
}

/// f32 numbers on the CPU.
#[derive(Clone)]
struct Fast {
    shape: (usize, usize, usize, usize),
    values: Arc<Values>,
    /// Stands for them in Candle's graph.
    mark: Tensor,
    gradient: Slot,
}

impl FeatureMaps {
    /// The pictures in a tensor `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// The tensor has not four dimensions.
    pub fn new(x: &Tensor) -> Result<Self> {
        let shape = x.dims4()?;
        if !f32_on_cpu(x) {
            return Ok(Self(Maps::Tensor(x.clone())));
        }
        let (x, gradient) = (x.contiguous()?, Slot::default());
        let mark = x.apply_op1(Enter { gradient: gradient.clone() })?;
        let values = Arc::new(Values::Tensor(x));
        Ok(Self(Maps::Fast(Fast { shape, values, mark, gradient })))
    }

    /// Batch, height, width and channels.
    ///
    /// # Errors
    /// None in practice: the pictures had this shape from the start.
    pub fn dims(&self) -> Result<(usize, usize, usize, usize)> {
        match &self.0 {
            Maps::Fast(fast) => Ok(fast.shape),
            Maps::Tensor(tensor) => tensor.dims4(),
        }
    }

    /// A tensor `[batch, height, width, channels]` of the pictures.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn to_tensor(&self) -> Result<Tensor> {
        self.clone().into_tensor()
    }

    /// As [`to_tensor`](Self::to_tensor), without a copy where nobody else needs the pictures.
    ///
    /// # Errors
    /// There is no memory for a copy.
    pub fn into_tensor(self) -> Result<Tensor> {
        let fast = match self.0 {
            Maps::Tensor(tensor) => return Ok(tensor),
            Maps::Fast(fast) => fast,
        };
        let values = match Arc::try_unwrap(fast.values) {
            Ok(Values::Own(buffer)) => buffer.into_vec(),
            Ok(values) => values.read()?.to_vec(),
            Err(values) => values.read()?.to_vec(),
        };
        let (b, h, w, c) = fast.shape;
        fast.mark.apply_op1(Leave::new(values, Shape::from((b, h, w, c)), fast.gradient))
    }

    /// `activation(self * weight + bias)`, as [`conv2d`](crate::conv2d) of a tensor.
    ///
    /// # Errors
    /// The shapes do not fit each other: the message gives them.
    pub fn conv2d(&self, weight: &Tensor, bias: &Tensor, config: &ConvConfig) -> Result<Self> {
        self.convolve(weight, bias, config, None)
    }

    /// `activation(self * weight + bias) + residual`.
    ///
    /// # Errors
    /// The shapes do not fit each other: the message gives them.
    pub fn conv2d_plus(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        config: &ConvConfig,
        residual: &Self,
    ) -> Result<Self> {
        self.convolve(weight, bias, config, Some(residual))
    }

    /// A transposed convolution, as [`conv_transpose2d`](crate::conv_transpose2d) of a tensor.
    ///
    /// # Errors
    /// The shapes do not fit each other: the message gives them.
    pub fn conv_transpose2d(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        config: &ConvConfig,
    ) -> Result<Self> {
        let geometry = Geometry::transposed(self.dims()?, weight.dims4()?, bias.dims(), config)?;
        self.apply(geometry, Method::Transposed, weight, bias, config, None)
    }

    fn convolve(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        config: &ConvConfig,
        residual: Option<&Self>,
    ) -> Result<Self> {
        let geometry = Geometry::convolution(self.dims()?, weight.dims4()?, bias.dims(), config)?;
        self.apply(geometry, Method::of(&geometry), weight, bias, config, residual)
    }

    fn apply(
        &self,
        geometry: Geometry,
        method: Method,
        weight: &Tensor,
        bias: &Tensor,
        config: &ConvConfig,
        residual: Option<&Self>,
    ) -> Result<Self> {
        let shape = method.result_shape(&geometry);
        if let Some(residual) = residual
            && residual.dims()? != shape
        {
            bail!("conv2d: a residual of shape {:?}; expected {shape:?}", residual.dims()?);
        }
        let suits = config.dilation == 1
            && config.groups == 1
            && [weight, bias].iter().all(|t| f32_on_cpu(t));
        let fast = match (&self.0, residual.map(|residual| &residual.0)) {
            (Maps::Fast(x), None) if suits => Some((x, None)),
            (Maps::Fast(x), Some(Maps::Fast(residual))) if suits => Some((x, Some(residual))),
            _ => None,
        };
        if let Some((x, residual)) = fast {
            let slope = config.activation.slope();
            return Ok(Self(Maps::Fast(x.apply(geometry, method, weight, bias, slope, residual)?)));
        }
        let x = self.to_tensor()?;
        let y = match method {
            Method::Transposed => by_candle::conv_transpose2d(&x, weight, bias, &geometry, config)?,
            _ => by_candle::conv2d(&x, weight, bias, &geometry, config)?,
        };
        match residual {
            Some(residual) => Self::new(&(y + residual.to_tensor()?)?),
            None => Self::new(&y),
        }
    }
}

impl Fast {
    fn apply(
        &self,
        geometry: Geometry,
        method: Method,
        weight: &Tensor,
        bias: &Tensor,
        slope: f32,
        residual: Option<&Self>,
    ) -> Result<Self> {
        let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
        let gradient = Slot::default();
        let mut convolution = Convolution {
            geometry,
            method,
            slope,
            x: self.values.clone(),
            above: Buffer::take(0),
            gradient: gradient.clone(),
            x_gradient: self.needed_gradient(),
            residual_gradient: residual.and_then(Self::needed_gradient),
        };
        let values = residual.map(|residual| &*residual.values);
        let y = convolution.forward(&weight, &bias, values)?;
        let mark = match residual {
            Some(residual) => (&self.mark + &residual.mark)?,
            None => self.mark.clone(),
        };
        Ok(Self {
            shape: method.result_shape(&geometry),
            values: Arc::new(Values::Own(y)),
            mark: mark.apply_op3(&weight, &bias, convolution)?,
            gradient,
        })
    }

    /// Where the gradient goes, unless nothing that it depends on is a variable.
    fn needed_gradient(&self) -> Option<Slot> {
        self.mark.track_op().then(|| self.gradient.clone())
    }
}

fn f32_on_cpu(tensor: &Tensor) -> bool {
    tensor.dtype() == DType::F32 && matches!(tensor.device(), Device::Cpu)
}
