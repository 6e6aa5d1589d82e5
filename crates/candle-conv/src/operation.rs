//! The convolution as an operation of Candle's graph.
//!
//! The graph carries one number for a whole batch of pictures: it brings the backward pass to each
//! operation in the right order. The pictures and their gradients stay beside it, in buffers that
//! are used again: Candle would set a new tensor to zero and add to it for each gradient.

use crate::activation::{Finish, Gradient};
use crate::buffer::Buffer;
use crate::geometry::Geometry;
use crate::method::Method;
use crate::values::{Numbers, Slot, Values};
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex, PoisonError};

/// The number that stands for pictures in the graph.
fn mark() -> (CpuStorage, Shape) {
    (CpuStorage::F32(vec![0.0]), Shape::from(1))
}

/// From a tensor to the pictures that it holds.
pub(crate) struct Enter {
    pub gradient: Slot,
}

impl CustomOp1 for Enter {
    fn name(&self) -> &'static str {
        "feature-maps"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(mark())
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        self.gradient.take().map(|gradient| gradient.into_tensor(x.shape())).transpose()
    }
}

/// From pictures to a tensor.
pub(crate) struct Leave {
    values: Mutex<Option<Vec<f32>>>,
    shape: Shape,
    gradient: Slot,
}

impl Leave {
    pub fn new(values: Vec<f32>, shape: Shape, gradient: Slot) -> Self {
        Self { values: Mutex::new(Some(values)), shape, gradient }
    }
}

impl CustomOp1 for Leave {
    fn name(&self) -> &'static str {
        "feature-maps-to-tensor"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(values) = values else { bail!("feature maps: already a tensor") };
        Ok((CpuStorage::F32(values), self.shape.clone()))
    }

    fn bwd(&self, mark: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.gradient.add(Values::Tensor(gradient.contiguous()?))?;
        Ok(Some(mark.zeros_like()?))
    }
}

/// A convolution or its transpose: of the mark of its pictures, weights and bias.
pub(crate) struct Convolution {
    pub geometry: Geometry,
    pub method: Method,
    pub slope: f32,
    pub x: Arc<Values>,
    /// Where the activation let through all; empty without activation.
    pub above: Buffer<u8>,
    /// Of the result.
    pub gradient: Slot,
    /// Of the pictures, if anybody needs it.
    pub x_gradient: Option<Slot>,
    /// Of what was added to the result, if anybody needs it.
    pub residual_gradient: Option<Slot>,
}

impl Convolution {
    /// The numbers of the result; notes where the activation let through all.
    pub fn forward(
        &mut self,
        weight: &Tensor,
        bias: &Tensor,
        residual: Option<&Values>,
    ) -> Result<Buffer> {
        let (g, x) = (&self.geometry, self.x.read()?);
        let (weight, bias) = (Numbers::of(weight)?, Numbers::of(bias)?);
        let residual = residual.map(Values::read).transpose()?;
        let (b, h, w, c) = self.method.result_shape(g);
        let mut y = Buffer::take(b * h * w * c);
        if self.slope != 1.0 {
            self.above = Buffer::take(y.len());
        }
        let finish = Finish { bias: &bias, slope: self.slope, residual: residual.as_deref() };
        self.method.forward(g, &x, &weight, &finish, &mut y, &mut self.above);
        Ok(y)
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        match self.method {
            Method::Transposed => "conv-transpose2d",
            _ => "conv2d",
        }
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok(mark())
    }

    fn bwd(
        &self,
        mark: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        of_mark: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(values) = self.gradient.take() else {
            bail!("{}: the gradient of the result is missing", self.name())
        };
        let gradients = {
            let (x, weight, values) = (self.x.read()?, Numbers::of(weight)?, values.read()?);
            let gradient = Gradient { values: &values, above: &self.above, slope: self.slope };
            let backward = |dx: Option<(&mut [f32], bool)>| {
                self.method.backward(&self.geometry, &x, &weight, gradient, dx)
            };
            match &self.x_gradient {
                None => backward(None),
                Some(slot) => slot.with(x.len(), |dx, add| backward(Some((dx, add))))?,
            }
        };
        if let Some(slot) = &self.residual_gradient {
            slot.add(values)?;
        }
        let dw = Tensor::from_vec(gradients.weight, weight.shape(), &Device::Cpu)?;
        let db = Tensor::from_vec(gradients.bias, bias.shape(), &Device::Cpu)?;
        Ok((mark.track_op().then(|| of_mark.clone()), Some(dw), Some(db)))
    }
}
