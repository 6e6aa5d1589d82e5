//! Convolutions with fewer outputs than inputs, at stride 1: every input pixel is multiplied with
//! all taps first, and the products are added up where they belong.
//!
//! The reverse of gathering patches: the buffer holds `taps * outputs` numbers an input pixel.

use crate::geometry::Geometry;
use crate::matrix::{View, product};
use crate::patches::finish;
use crate::permuted::permuted;
use crate::sums::sum;
use rayon::prelude::*;

/// Weights `[outputs, inputs, taps]` as `[inputs, taps, outputs]`.
fn inputs_first(g: &Geometry, weight: &[f32]) -> Vec<f32> {
    permuted(weight, [g.outputs, g.inputs, g.taps()], [1, 2, 0])
}

/// For each pixel of one picture and each tap whose product counts: where the product stands, and
/// to which place of the result it belongs.
fn each_tap(g: &Geometry, mut visit: impl FnMut(usize, usize)) {
    for y in 0..g.height {
        for x in 0..g.width {
            let products = (y * g.width + x) * g.taps() * g.outputs;
            for ky in 0..g.rows {
                let oy = (y + g.padding).wrapping_sub(ky);
                if oy >= g.out_height {
                    continue;
                }
                for kx in 0..g.columns {
                    let ox = (x + g.padding).wrapping_sub(kx);
                    if ox < g.out_width {
                        let tap = (ky * g.columns + kx) * g.outputs;
                        visit(products + tap, (oy * g.out_width + ox) * g.outputs);
                    }
                }
            }
        }
    }
}

/// `y = activation(x * weight + bias)`.
pub(crate) fn forward(
    g: &Geometry,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    slope: f32,
) -> Vec<f32> {
    let mut y = vec![0.0; g.y_len()];
    if y.is_empty() {
        return y;
    }
    let weight = inputs_first(g, weight);
    let (pixels, length) = (g.height * g.width, g.taps() * g.outputs);
    let pictures = x.par_chunks(pixels * g.inputs);
    y.par_chunks_mut(g.out_height * g.out_width * g.outputs).zip(pictures).for_each(|(y, x)| {
        let mut products = vec![0.0; pixels * length];
        let (a, b) = (View::rows(x, g.inputs), View::rows(&weight, length));
        product(&mut products, false, a, b, (pixels, g.inputs, length));
        each_tap(g, |from, to| {
            let (from, to) = (&products[from..from + g.outputs], &mut y[to..to + g.outputs]);
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        });
        finish(y, bias, slope);
    });
    y
}

/// The gradients of pictures (if asked for) and weights, from that before the activation.
pub(crate) fn backward(
    g: &Geometry,
    x: &[f32],
    weight: &[f32],
    gradient: &[f32],
    input_gradient: bool,
) -> (Option<Vec<f32>>, Vec<f32>) {
    let weight = inputs_first(g, weight);
    let (pixels, length) = (g.height * g.width, g.taps() * g.outputs);
    let mut dx = if input_gradient { vec![0.0; x.len()] } else { Vec::new() };
    let picture = (pixels * g.inputs).max(1);
    let mut dx_parts: Vec<&mut [f32]> = dx.chunks_mut(picture).collect();
    dx_parts.resize_with(g.batch, Default::default);
    let parts: Vec<Vec<f32>> = x
        .par_chunks(picture)
        .zip(gradient.par_chunks((g.out_height * g.out_width * g.outputs).max(1)))
        .zip(dx_parts)
        .map(|((x, gradient), dx)| {
            let mut products = vec![0.0; pixels * length];
            each_tap(g, |to, from| {
                products[to..to + g.outputs].copy_from_slice(&gradient[from..from + g.outputs]);
            });
            if !dx.is_empty() {
                let (a, b) = (View::rows(&products, length), View::transposed(&weight, length));
                product(dx, false, a, b, (pixels, length, g.inputs));
            }
            let mut part = vec![0.0; g.inputs * length];
            let (a, b) = (View::transposed(x, g.inputs), View::rows(&products, length));
            product(&mut part, false, a, b, (g.inputs, pixels, length));
            part
        })
        .collect();
    let weight = sum(parts, g.inputs * length);
    let weight = permuted(&weight, [g.inputs, g.taps(), g.outputs], [2, 0, 1]);
    (input_gradient.then_some(dx), weight)
}
