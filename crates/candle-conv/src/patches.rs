//! Convolutions as one matrix product over gathered patches: any kernel, padding and stride; and
//! transposed convolutions, which go the same way backwards.
//!
//! A patch is what one output pixel sees: `taps * inputs` numbers, tap by tap. Work is cut into
//! blocks of output rows whose size does not depend on the number of threads.

use crate::activation::Finish;
use crate::buffer::Buffer;
use crate::geometry::Geometry;
use crate::matrix::{View, product};
use crate::permuted::permuted;
use crate::shared::parts;
use crate::sums::sum;
use rayon::prelude::*;
use std::ops::Range;

/// Output pixels a block has at least, if there are so many.
const BLOCK: usize = 512;
/// Output pixels of the pictures that a task takes together, if one picture has not more.
const PIXELS: usize = 1024;
/// Groups of blocks whose weight gradients are summed apart, and then together.
const GROUPS: usize = 8;

/// Output rows a block has.
fn rows_per_block(row_length: usize) -> usize {
    BLOCK.div_ceil(row_length.max(1)).max(1)
}

/// Numbers in a patch.
fn patch_len(g: &Geometry) -> usize {
    g.taps() * g.inputs
}

/// Weights `[outputs, inputs, taps]` as `[taps, inputs, outputs]`.
fn taps_first(g: &Geometry, weight: &[f32]) -> Vec<f32> {
    permuted(weight, [g.outputs, g.inputs, g.taps()], [2, 1, 0])
}

/// The patches of some output rows (counted over all pictures).
fn gather(g: &Geometry, x: &[f32], rows: Range<usize>) -> Buffer {
    let mut patches = Buffer::take(rows.len() * g.out_width * patch_len(g));
    let mut kernel_rows = patches.chunks_exact_mut(g.columns * g.inputs);
    for row in rows {
        let (picture, oy) = (row / g.out_height, row % g.out_height);
        for ox in 0..g.out_width {
            // The kernel's columns inside the picture.
            let start = ox * g.stride;
            let first = g.padding.before.saturating_sub(start).min(g.columns);
            let end = (g.width + g.padding.before).saturating_sub(start).clamp(first, g.columns);
            for ky in 0..g.rows {
                let Some(to) = kernel_rows.next() else { return patches };
                let y = (oy * g.stride + ky).wrapping_sub(g.padding.before);
                if y >= g.height || first == end {
                    to.fill(0.0);
                    continue;
                }
                let column = start + first - g.padding.before;
                let pixel = (picture * g.height + y) * g.width + column;
                let from = &x[pixel * g.inputs..][..(end - first) * g.inputs];
                to[..first * g.inputs].fill(0.0);
                to[first * g.inputs..end * g.inputs].copy_from_slice(from);
                to[end * g.inputs..].fill(0.0);
            }
        }
    }
    patches
}

/// Writes or adds `x * weight`, and finishes it if asked for; `above` is for the finish.
pub(crate) fn forward(
    g: &Geometry,
    x: &[f32],
    weight: &[f32],
    (y, add): (&mut [f32], bool),
    finish: Option<&Finish<'_>>,
    above: &mut [u8],
) {
    if y.is_empty() {
        return;
    }
    let weight = taps_first(g, weight);
    let block = rows_per_block(g.out_width) * g.out_width;
    let above = parts(above, block * g.outputs, g.out_pixels().div_ceil(block));
    let y = y.par_chunks_mut(block * g.outputs).enumerate();
    y.zip(above).for_each(|((number, y), above)| {
        let (first, pixels) = (number * block, y.len() / g.outputs);
        let patches = gather(g, x, first / g.out_width..(first + pixels) / g.out_width);
        let (a, b) = (View::rows(&patches, patch_len(g)), View::rows(&weight, g.outputs));
        product(y, add, a, b, (pixels, patch_len(g), g.outputs));
        if let Some(finish) = finish {
            finish.apply(first * g.outputs, y, above);
        }
    });
}

/// The gradient of the weights, from that before the activation.
pub(crate) fn weight_gradient(g: &Geometry, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let length = patch_len(g);
    let block = rows_per_block(g.out_width) * g.out_width;
    let group = g.out_pixels().div_ceil(block.max(1)).div_ceil(GROUPS) * block;
    let parts: Vec<Buffer> = gradient
        .par_chunks((group * g.outputs).max(1))
        .enumerate()
        .map(|(number, gradient)| {
            let mut part = Buffer::take(length * g.outputs);
            for (place, gradient) in gradient.chunks(block * g.outputs).enumerate() {
                let pixels = gradient.len() / g.outputs;
                let first = number * group + place * block;
                let patches = gather(g, x, first / g.out_width..(first + pixels) / g.out_width);
                let (a, b) = (View::transposed(&patches, length), View::rows(gradient, g.outputs));
                product(&mut part, place > 0, a, b, (length, pixels, g.outputs));
            }
            part
        })
        .collect();
    permuted(&sum(&parts, length * g.outputs), [g.taps(), g.inputs, g.outputs], [2, 1, 0])
}

/// Writes or adds the gradient of the pictures, from that before the activation, and finishes it if
/// asked for; `above` is for the finish.
pub(crate) fn input_gradient(
    g: &Geometry,
    weight: &[f32],
    gradient: &[f32],
    (dx, add): (&mut [f32], bool),
    finish: Option<&Finish<'_>>,
    above: &mut [u8],
) {
    if dx.is_empty() {
        return;
    }
    let weight = taps_first(g, weight);
    let (length, out_picture) = (patch_len(g), g.out_height * g.out_width);
    let row = g.width * g.inputs;
    let unit = (PIXELS / out_picture.max(1)).max(1);
    let block = rows_per_block(g.out_width) * g.out_width;
    let unit_rows = unit * g.height;
    let above = parts(above, unit_rows * row, g.batch.div_ceil(unit));
    let units = dx.par_chunks_mut(unit_rows * row).zip(above).enumerate();
    units.for_each(|(number, (dx, above))| {
        let pixels = dx.len() / g.picture_len() * out_picture;
        let gradient = &gradient[number * unit * out_picture * g.outputs..][..pixels * g.outputs];
        let mut patches = Buffer::take(pixels * length);
        let blocks = patches.par_chunks_mut((block * length).max(1));
        blocks.zip(gradient.par_chunks((block * g.outputs).max(1))).for_each(
            |(patches, gradient)| {
                let pixels = gradient.len() / g.outputs;
                let (a, b) =
                    (View::rows(gradient, g.outputs), View::transposed(&weight, g.outputs));
                product(patches, false, a, b, (pixels, g.outputs, length));
            },
        );
        let above = parts(above, row, dx.len() / row);
        dx.par_chunks_mut(row).zip(above).enumerate().for_each(|(place, (dx, above))| {
            if !add {
                dx.fill(0.0);
            }
            add_patches(g, &patches, place, dx);
            if let Some(finish) = finish {
                finish.apply((number * unit_rows + place) * row, dx, above);
            }
        });
    });
}

/// Adds to one row of pixels (counted over the pictures whose patches are given) what belongs there.
fn add_patches(g: &Geometry, patches: &[f32], row: usize, dx: &mut [f32]) {
    let (picture, y) = (row / g.height, row % g.height);
    let padding = g.padding.before;
    for ky in 0..g.rows {
        let from_top = (y + padding).wrapping_sub(ky);
        let oy = from_top / g.stride;
        if from_top % g.stride != 0 || oy >= g.out_height {
            continue;
        }
        for ox in 0..g.out_width {
            let patch = ((picture * g.out_height + oy) * g.out_width + ox) * patch_len(g);
            let taps = &patches[patch + ky * g.columns * g.inputs..][..g.columns * g.inputs];
            let start = ox * g.stride;
            let first = padding.saturating_sub(start);
            if first < g.columns && start + first - padding < g.width {
                let to = &mut dx[(start + first - padding) * g.inputs..];
                to.iter_mut().zip(&taps[first * g.inputs..]).for_each(|(to, from)| *to += from);
            }
        }
    }
}
