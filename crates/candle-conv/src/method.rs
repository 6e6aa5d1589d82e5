//! Which way a convolution is computed.

use crate::activation::{Finish, Gradient, pull_back};
use crate::buffer::Buffer;
use crate::geometry::Geometry;
use crate::permuted::permuted;
use crate::sums::pixel_sums;
use crate::{columns, patches, winograd};
use rayon::prelude::*;

/// A way to compute a convolution, its gradients included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Winograd,
    /// One matrix product over gathered pixels.
    Product,
    /// The transpose of the convolution that the geometry describes.
    Transposed,
    /// As a transposed convolution with reversed kernels: the buffer takes `outputs` instead of
    /// `inputs` numbers a pixel and tap.
    Reversed,
}

/// Geometry, two operands, where the result goes and whether it is added, how it is finished.
type Pass = fn(&Geometry, &[f32], &[f32], (&mut [f32], bool), Option<&Finish<'_>>, &mut [u8]);

/// The passes of a convolution as one matrix product.
struct Product {
    forward: Pass,
    input_gradient: Pass,
    weight_gradient: fn(&Geometry, &[f32], &[f32]) -> Vec<f32>,
}

impl Product {
    /// The faster ones for these sizes.
    fn of(g: &Geometry) -> Self {
        if g.has_few_pixels() {
            Self {
                forward: columns::forward,
                input_gradient: columns::input_gradient,
                weight_gradient: columns::weight_gradient,
            }
        } else {
            Self {
                forward: patches::forward,
                input_gradient: patches::input_gradient,
                weight_gradient: patches::weight_gradient,
            }
        }
    }
}

/// The gradients of weights and bias.
pub(crate) struct WeightGradients {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Method {
    /// The fastest way for a convolution that is not transposed.
    pub fn of(g: &Geometry) -> Self {
        if g.suits_winograd() {
            Self::Winograd
        } else if g.suits_reversal() {
            Self::Reversed
        } else {
            Self::Product
        }
    }

    /// Batch, height, width and channels of the result.
    pub fn result_shape(self, g: &Geometry) -> (usize, usize, usize, usize) {
        match self {
            Self::Transposed => (g.batch, g.height, g.width, g.inputs),
            _ => (g.batch, g.out_height, g.out_width, g.outputs),
        }
    }

    /// Writes all numbers of the result, and which were above 0 before the activation (unless
    /// `above` is empty).
    pub fn forward(
        self,
        g: &Geometry,
        x: &[f32],
        weight: &[f32],
        finish: &Finish<'_>,
        y: &mut [f32],
        above: &mut [u8],
    ) {
        match self {
            Self::Winograd => winograd::forward(g, x, weight, finish, y, above),
            Self::Product => {
                (Product::of(g).forward)(g, x, weight, (y, false), Some(finish), above);
            }
            Self::Transposed => {
                (Product::of(g).input_gradient)(g, weight, x, (y, false), Some(finish), above);
            }
            Self::Reversed => {
                let weight = reversed(weight, g.outputs, g.inputs, g.taps());
                Self::Transposed.forward(&g.reversed(), x, &weight, finish, y, above);
            }
        }
    }

    /// The gradients of weights and bias from that of the result; writes that of the pictures if
    /// asked for, or adds it to what is there.
    pub fn backward(
        self,
        g: &Geometry,
        x: &[f32],
        weight: &[f32],
        gradient: Gradient<'_>,
        dx: Option<(&mut [f32], bool)>,
    ) -> WeightGradients {
        if self == Self::Winograd {
            return winograd::backward(g, x, weight, gradient, dx);
        }
        if self == Self::Reversed {
            let flipped = reversed(weight, g.outputs, g.inputs, g.taps());
            let mut all = Self::Transposed.backward(&g.reversed(), x, &flipped, gradient, dx);
            all.weight = reversed(&all.weight, g.inputs, g.outputs, g.taps());
            return all;
        }
        let before;
        let gradient = if gradient.slope == 1.0 {
            gradient.values
        } else {
            before = before_activation(gradient);
            &before
        };
        let Product { forward, input_gradient, weight_gradient } = Product::of(g);
        let bias = pixel_sums(gradient, self.result_shape(g).3);
        let weight = match self {
            Self::Transposed => {
                if let Some(dx) = dx {
                    forward(g, gradient, weight, dx, None, &mut []);
                }
                weight_gradient(g, gradient, x)
            }
            _ => {
                if let Some(dx) = dx {
                    input_gradient(g, weight, gradient, dx, None, &mut []);
                }
                weight_gradient(g, x, gradient)
            }
        };
        WeightGradients { weight, bias }
    }
}

/// Weights `[a, b, taps]` as `[b, a, taps]` with the taps in reverse order.
fn reversed(weight: &[f32], a: usize, b: usize, taps: usize) -> Vec<f32> {
    let mut weight = permuted(weight, [a, b, taps], [1, 0, 2]);
    weight.chunks_exact_mut(taps).for_each(<[f32]>::reverse);
    weight
}

/// Numbers a task handles in passes over memory.
const PASS: usize = 1 << 16;

fn before_activation(gradient: Gradient<'_>) -> Buffer {
    let mut out = Buffer::take(gradient.values.len());
    let inputs = gradient.values.par_chunks(PASS).zip(gradient.above.par_chunks(PASS));
    out.par_chunks_mut(PASS).zip(inputs).for_each(|(out, (values, above))| {
        for ((out, value), above) in out.iter_mut().zip(values).zip(above) {
            *out = pull_back(*value, *above, gradient.slope);
        }
    });
    out
}
