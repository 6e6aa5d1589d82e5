//! The convolution as a Candle operation.

use crate::activation::{Activation, pull_back};
use crate::geometry::Geometry;
use crate::sums::pixel_sums;
use crate::{patches, scatter, winograd};
use candle_core::{
    CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Storage, Tensor, bail,
};
use rayon::prelude::*;

/// Convolves channels-last pictures: `activation(x * weight + bias)`.
///
/// - `x`: `[batch, height, width, inputs]`;
/// - `weight`: `[outputs, inputs, rows, columns]`, as in `candle_nn::Conv2d`;
/// - `bias`: `[outputs]`;
/// - the result: `[batch, out_height, out_width, outputs]`, where
///   `out_height = (height + 2 * padding - rows) / stride + 1`.
///
/// Padding is with zeros, on all four sides. All gradients are computed, except that of an `x` that
/// does not depend on any variable.
///
/// # Errors
/// The shapes do not fit each other: the message gives them.
///
/// # Example
/// ```
/// use candle_conv::{Activation, conv2d};
/// use candle_core::{DType, Device, Tensor};
/// let x = Tensor::ones((2, 8, 6, 3), DType::F32, &Device::Cpu)?;
/// let weight = Tensor::ones((4, 3, 3, 3), DType::F32, &Device::Cpu)?;
/// let bias = Tensor::zeros(4, DType::F32, &Device::Cpu)?;
/// let y = conv2d(&x, &weight, &bias, 1, 1, Activation::Relu)?;
/// assert_eq!(y.dims(), [2, 8, 6, 4]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    padding: usize,
    stride: usize,
    activation: Activation,
) -> Result<Tensor> {
    let geometry = Geometry::new(x.dims4()?, weight.dims4()?, padding, stride)?;
    if bias.dims() != [geometry.outputs] {
        bail!("conv2d: bias {:?}; expected [{}]", bias.shape(), geometry.outputs);
    }
    let fast = matches!(x.device(), Device::Cpu)
        && [x, weight, bias].iter().all(|tensor| tensor.dtype() == DType::F32);
    if !fast {
        return by_candle(x, weight, bias, &geometry, activation);
    }
    let input_gradient = x.track_op();
    let op = Convolution { geometry, slope: activation.slope(), input_gradient };
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
}

/// The same through Candle's own operations, for other devices and types.
fn by_candle(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    g: &Geometry,
    activation: Activation,
) -> Result<Tensor> {
    let x = x.permute((0, 3, 1, 2))?.contiguous()?;
    let y = x.conv2d(weight, g.padding, g.stride, 1, 1)?;
    let y = y.broadcast_add(&bias.reshape((1, g.outputs, 1, 1))?)?.permute((0, 2, 3, 1))?;
    let y = y.contiguous()?;
    if activation == Activation::None {
        return Ok(y);
    }
    // Gradient 0 (or the slope) at 0, where Candle's own ReLU has 1.
    let above = y.gt(0.0)?.to_dtype(y.dtype())?;
    let slope = f64::from(activation.slope());
    &y * above.affine(1.0 - slope, slope)?
}

struct Convolution {
    geometry: Geometry,
    slope: f32,
    input_gradient: bool,
}

impl Convolution {
    /// The three gradients from that of the result.
    fn gradients(
        &self,
        x: &[f32],
        weight: &[f32],
        y: &[f32],
        gradient: &[f32],
    ) -> (Option<Vec<f32>>, Vec<f32>, Vec<f32>) {
        let g = &self.geometry;
        if g.suits_winograd() {
            return winograd::backward(g, x, weight, y, gradient, self.slope, self.input_gradient);
        }
        let gradient = before_activation(y, gradient, self.slope);
        let bias = pixel_sums(&gradient, g.outputs);
        if g.suits_scatter() {
            let (dx, dw) = scatter::backward(g, x, weight, &gradient, self.input_gradient);
            return (dx, dw, bias);
        }
        let dw = patches::weight_gradient(g, x, &gradient);
        let dx = self.input_gradient.then(|| patches::input_gradient(g, weight, &gradient));
        (dx, dw, bias)
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let g = &self.geometry;
        let x = numbers(x, x_layout)?;
        let weight = numbers(weight, weight_layout)?;
        let bias = numbers(bias, bias_layout)?;
        let forward = if g.suits_winograd() {
            winograd::forward
        } else if g.suits_scatter() {
            scatter::forward
        } else {
            patches::forward
        };
        let y = forward(g, x, weight, bias, self.slope);
        let shape = Shape::from((g.batch, g.out_height, g.out_width, g.outputs));
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (dx, dw, db) = {
            let all = [x, weight, y, &gradient].map(Tensor::storage_and_layout);
            let [x, weight, y, gradient] = &all;
            self.gradients(
                cpu(&x.0, x.1)?,
                cpu(&weight.0, weight.1)?,
                cpu(&y.0, y.1)?,
                cpu(&gradient.0, gradient.1)?,
            )
        };
        let tensor =
            |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
        let dx = dx.map(|dx| tensor(dx, x)).transpose()?;
        Ok((dx, Some(tensor(dw, weight)?), Some(tensor(db, bias)?)))
    }
}

/// The numbers of a contiguous tensor on the CPU.
fn cpu<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => numbers(storage, layout),
        _ => bail!("conv2d: expected tensors on the CPU"),
    }
}

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&all[start..end]),
        _ => bail!("conv2d: expected contiguous f32 numbers"),
    }
}

/// Numbers a task handles in passes over memory.
const PASS: usize = 1 << 16;

fn before_activation(y: &[f32], gradient: &[f32], slope: f32) -> Vec<f32> {
    let mut out = vec![0.0; gradient.len()];
    let inputs = gradient.par_chunks(PASS).zip(y.par_chunks(PASS));
    out.par_chunks_mut(PASS).zip(inputs).for_each(|(out, (gradient, y))| {
        for ((out, gradient), y) in out.iter_mut().zip(gradient).zip(y) {
            *out = pull_back(*gradient, *y, slope);
        }
    });
    out
}
