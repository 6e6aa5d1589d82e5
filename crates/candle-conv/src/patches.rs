//! Convolutions as one matrix product over gathered patches: any kernel, padding and stride.
//!
//! A patch is what one output pixel sees: `taps * inputs` numbers, tap by tap. Work is cut into
//! blocks of output rows whose size does not depend on the number of threads.

use crate::activation::activate;
use crate::geometry::Geometry;
use crate::matrix::{View, product};
use crate::permuted::permuted;
use crate::sums::sum;
use rayon::prelude::*;

/// Output pixels a block has at least, if there are so many.
const BLOCK: usize = 512;

/// Output rows a block has.
fn rows_per_block(row_length: usize) -> usize {
    BLOCK.div_ceil(row_length.max(1)).max(1)
}

/// Weights `[outputs, inputs, taps]` as `[taps, inputs, outputs]`.
fn taps_first(g: &Geometry, weight: &[f32]) -> Vec<f32> {
    permuted(weight, [g.outputs, g.inputs, g.taps()], [2, 1, 0])
}

/// For each patch of some output rows and each tap inside the picture: where the tap's numbers
/// stand in the patches, and where in the pictures.
fn each_tap(g: &Geometry, rows: std::ops::Range<usize>, mut visit: impl FnMut(usize, usize)) {
    let length = g.taps() * g.inputs;
    let first = rows.start;
    for row in rows {
        let (picture, oy) = (row / g.out_height, row % g.out_height);
        for ox in 0..g.out_width {
            let patch = ((row - first) * g.out_width + ox) * length;
            for ky in 0..g.rows {
                let y = (oy * g.stride + ky).wrapping_sub(g.padding);
                if y >= g.height {
                    continue;
                }
                for kx in 0..g.columns {
                    let x = (ox * g.stride + kx).wrapping_sub(g.padding);
                    if x < g.width {
                        let pixel = (picture * g.height + y) * g.width + x;
                        visit(patch + (ky * g.columns + kx) * g.inputs, pixel * g.inputs);
                    }
                }
            }
        }
    }
}

fn gather(g: &Geometry, x: &[f32], rows: std::ops::Range<usize>) -> Vec<f32> {
    let mut patches = vec![0.0; rows.len() * g.out_width * g.taps() * g.inputs];
    each_tap(g, rows, |to, from| {
        patches[to..to + g.inputs].copy_from_slice(&x[from..from + g.inputs]);
    });
    patches
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
    let weight = taps_first(g, weight);
    let rows = rows_per_block(g.out_width);
    y.par_chunks_mut(rows * g.out_width * g.outputs).enumerate().for_each(|(block, y)| {
        let pixels = y.len() / g.outputs;
        let first = block * rows;
        let patches = gather(g, x, first..first + pixels / g.out_width);
        let length = g.taps() * g.inputs;
        let (a, b) = (View::rows(&patches, length), View::rows(&weight, g.outputs));
        product(y, false, a, b, (pixels, length, g.outputs));
        finish(y, bias, slope);
    });
    y
}

/// Adds the bias and applies the activation.
pub(crate) fn finish(y: &mut [f32], bias: &[f32], slope: f32) {
    for pixel in y.chunks_exact_mut(bias.len()) {
        for (y, bias) in pixel.iter_mut().zip(bias) {
            *y = activate(*y + bias, slope);
        }
    }
}

/// The gradient of the weights, from that before the activation.
pub(crate) fn weight_gradient(g: &Geometry, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let length = g.taps() * g.inputs;
    let rows = rows_per_block(g.out_width);
    let parts: Vec<Vec<f32>> = gradient
        .par_chunks((rows * g.out_width * g.outputs).max(1))
        .enumerate()
        .map(|(block, gradient)| {
            let pixels = gradient.len() / g.outputs;
            let first = block * rows;
            let patches = gather(g, x, first..first + pixels / g.out_width);
            let mut part = vec![0.0; length * g.outputs];
            let (a, b) = (View::transposed(&patches, length), View::rows(gradient, g.outputs));
            product(&mut part, false, a, b, (length, pixels, g.outputs));
            part
        })
        .collect();
    permuted(&sum(parts, length * g.outputs), [g.taps(), g.inputs, g.outputs], [2, 1, 0])
}

/// The gradient of the pictures, from that before the activation.
pub(crate) fn input_gradient(g: &Geometry, weight: &[f32], gradient: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; g.x_len()];
    if dx.is_empty() || gradient.is_empty() {
        return dx;
    }
    let weight = taps_first(g, weight);
    let length = g.taps() * g.inputs;
    // Patches overlap within a picture only: a task a picture.
    let pictures = dx.par_chunks_mut(g.height * g.width * g.inputs);
    let gradients = gradient.par_chunks(g.out_height * g.out_width * g.outputs);
    pictures.zip(gradients).for_each(|(dx, gradient)| {
        let one = Geometry { batch: 1, ..*g };
        let rows = rows_per_block(g.out_width);
        for first in (0..g.out_height).step_by(rows) {
            let rows = first..(first + rows).min(g.out_height);
            let pixels = rows.len() * g.out_width;
            let gradient = &gradient[first * g.out_width * g.outputs..][..pixels * g.outputs];
            let mut patches = vec![0.0; pixels * length];
            let (a, b) = (View::rows(gradient, g.outputs), View::transposed(&weight, g.outputs));
            product(&mut patches, false, a, b, (pixels, g.outputs, length));
            each_tap(&one, rows, |from, to| {
                let (from, to) = (&patches[from..from + g.inputs], &mut dx[to..to + g.inputs]);
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            });
        }
    });
    dx
}
