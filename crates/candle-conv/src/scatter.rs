//! Convolutions with fewer outputs than inputs, at stride 1: every input pixel is multiplied with
//! all taps first, and the products are added up where they belong.
//!
//! The reverse of gathering patches: the buffer holds `taps * outputs` numbers an input pixel.

use crate::activation::Finish;
use crate::buffer::Buffer;
use crate::geometry::Geometry;
use crate::matrix::{View, product};
use crate::permuted::permuted;
use crate::shared::parts;
use crate::sums::sum;
use rayon::prelude::*;

/// Weights `[outputs, inputs, taps]` as `[inputs, taps, outputs]`.
fn inputs_first(g: &Geometry, weight: &[f32]) -> Vec<f32> {
    permuted(weight, [g.outputs, g.inputs, g.taps()], [1, 2, 0])
}

/// For each pixel of one picture and each tap whose product counts: where the product stands, and
/// to which place of the result it belongs.
fn each_tap(g: &Geometry, mut visit: impl FnMut(usize, usize)) {
    let padding = g.padding.before;
    for y in 0..g.height {
        for x in 0..g.width {
            let products = (y * g.width + x) * g.taps() * g.outputs;
            for ky in 0..g.rows {
                let oy = (y + padding).wrapping_sub(ky);
                if oy >= g.out_height {
                    continue;
                }
                for kx in 0..g.columns {
                    let ox = (x + padding).wrapping_sub(kx);
                    if ox < g.out_width {
                        let tap = (ky * g.columns + kx) * g.outputs;
                        visit(products + tap, (oy * g.out_width + ox) * g.outputs);
                    }
                }
            }
        }
    }
}

/// Writes `activation(x * weight + bias) + residual`, and what was above 0 before the activation.
pub(crate) fn forward(
    g: &Geometry,
    x: &[f32],
    weight: &[f32],
    finish: &Finish<'_>,
    y: &mut [f32],
    above: &mut [u8],
) {
    if y.is_empty() {
        return;
    }
    let weight = inputs_first(g, weight);
    let (pixels, length) = (g.height * g.width, g.taps() * g.outputs);
    let y_length = g.out_height * g.out_width * g.outputs;
    let above = parts(above, y_length, g.batch);
    let pictures = x.par_chunks((pixels * g.inputs).max(1)).enumerate();
    y.par_chunks_mut(y_length).zip(above).zip(pictures).for_each(|((y, above), (picture, x))| {
        let mut products = Buffer::take(pixels * length);
        let (a, b) = (View::rows(x, g.inputs), View::rows(&weight, length));
        product(&mut products, false, a, b, (pixels, g.inputs, length));
        y.fill(0.0);
        each_tap(g, |from, to| {
            let (from, to) = (&products[from..from + g.outputs], &mut y[to..to + g.outputs]);
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        });
        finish.apply(picture * y_length, y, above);
    });
}

/// The gradient of the weights, from that before the activation; writes or adds that of the pictures
/// if asked for.
pub(crate) fn backward(
    g: &Geometry,
    x: &[f32],
    weight: &[f32],
    gradient: &[f32],
    dx: Option<(&mut [f32], bool)>,
) -> Vec<f32> {
    let weight = inputs_first(g, weight);
    let (pixels, length) = (g.height * g.width, g.taps() * g.outputs);
    let picture = pixels * g.inputs;
    let (dx, add) = dx.unwrap_or_default();
    let dx = parts(dx, picture, g.batch);
    let parts: Vec<Buffer> = x
        .par_chunks(picture.max(1))
        .zip(gradient.par_chunks((g.out_height * g.out_width * g.outputs).max(1)))
        .zip(dx)
        .map(|((x, gradient), dx)| {
            let mut products = Buffer::take(pixels * length);
            products.fill(0.0);
            each_tap(g, |to, from| {
                products[to..to + g.outputs].copy_from_slice(&gradient[from..from + g.outputs]);
            });
            if !dx.is_empty() {
                let (a, b) = (View::rows(&products, length), View::transposed(&weight, length));
                product(dx, add, a, b, (pixels, length, g.inputs));
            }
            let mut part = Buffer::take(g.inputs * length);
            let (a, b) = (View::transposed(x, g.inputs), View::rows(&products, length));
            product(&mut part, false, a, b, (g.inputs, pixels, length));
            part
        })
        .collect();
    let weight = sum(&parts, g.inputs * length);
    permuted(&weight, [g.inputs, g.taps(), g.outputs], [2, 0, 1])
}
