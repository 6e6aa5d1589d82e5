//! Convolutions with more channels than pixels: one matrix product with the weights as they are.
//!
//! Column `p` of the matrix holds what output pixel `p` sees: `inputs * taps` numbers, in the order
//! of the weights, whose own order need not be changed. Work is split by rows of the products, of a
//! size that does not depend on the number of threads.

use crate::activation::Finish;
use crate::buffer::Buffer;
use crate::geometry::Geometry;
use crate::matrix::{View, product};
use rayon::prelude::*;

/// Rows of a product that a task computes.
const ROWS: usize = 64;

/// Numbers in a column.
fn column_len(g: &Geometry) -> usize {
    g.inputs * g.taps()
}

/// Calls `visit` for each place of one tap's row of the matrix that lies inside a picture: the
/// place, and the number of its pixel.
fn each_pixel(g: &Geometry, tap: usize, mut visit: impl FnMut(usize, usize)) {
    let (ky, kx) = (tap / g.columns, tap % g.columns);
    for row in 0..g.batch * g.out_height {
        let (picture, oy) = (row / g.out_height, row % g.out_height);
        let y = (oy * g.stride + ky).wrapping_sub(g.padding.before);
        if y >= g.height {
            continue;
        }
        for ox in 0..g.out_width {
            let x = (ox * g.stride + kx).wrapping_sub(g.padding.before);
            if x < g.width {
                visit(row * g.out_width + ox, (picture * g.height + y) * g.width + x);
            }
        }
    }
}

/// The matrix: `inputs * taps` rows, a column for each output pixel.
fn gather(g: &Geometry, x: &[f32]) -> Buffer {
    let pixels = g.out_pixels();
    let mut columns = Buffer::take(column_len(g) * pixels);
    columns.par_chunks_mut((g.taps() * pixels).max(1)).enumerate().for_each(|(input, rows)| {
        rows.fill(0.0);
        for (tap, row) in rows.chunks_exact_mut(pixels).enumerate() {
            each_pixel(g, tap, |place, pixel| row[place] = x[pixel * g.inputs + input]);
        }
    });
    columns
}

/// A row-major matrix with its rows and columns exchanged.
fn exchanged(from: &[f32], columns: usize) -> Buffer {
    let rows = from.len() / columns.max(1);
    let mut to = Buffer::take(from.len());
    to.par_chunks_mut((ROWS * rows).max(1)).enumerate().for_each(|(block, to)| {
        for (place, to) in to.chunks_exact_mut(rows).enumerate() {
            let column = block * ROWS + place;
            to.iter_mut().enumerate().for_each(|(row, to)| *to = from[row * columns + column]);
        }
    });
    to
}

/// `out = a * b`, a task for each few rows.
fn product_by_rows(out: &mut [f32], a: View<'_>, b: View<'_>, k: usize, n: usize) {
    out.par_chunks_mut((ROWS * n).max(1)).enumerate().for_each(|(block, out)| {
        let first = View { data: &a.data[block * ROWS * a.row..], ..a };
        product(out, false, first, b, (out.len() / n, k, n));
    });
}

/// Writes or adds results, and finishes them if asked for; `above` is for the finish.
fn put(
    results: &[f32],
    (to, add): (&mut [f32], bool),
    finish: Option<&Finish<'_>>,
    above: &mut [u8],
) {
    if add {
        to.iter_mut().zip(results).for_each(|(to, x)| *to += x);
    } else {
        to.copy_from_slice(results);
    }
    if let Some(finish) = finish {
        finish.apply(0, to, above);
    }
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
    let (columns, pixels, length) = (gather(g, x), g.out_pixels(), column_len(g));
    let mut results = Buffer::take(g.outputs * pixels);
    let (a, b) = (View::rows(weight, length), View::rows(&columns, pixels));
    product_by_rows(&mut results, a, b, length, pixels);
    let results = exchanged(&results, pixels);
    put(&results, (y, add), finish, above);
}

/// The gradient of the weights, from that before the activation.
pub(crate) fn weight_gradient(g: &Geometry, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let (columns, pixels, length) = (gather(g, x), g.out_pixels(), column_len(g));
    let by_channel = exchanged(gradient, g.outputs);
    let mut weight = vec![0.0; g.outputs * length];
    let (a, b) = (View::rows(&by_channel, pixels), View::transposed(&columns, pixels));
    product_by_rows(&mut weight, a, b, pixels, length);
    weight
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
    let (pixels, length) = (g.out_pixels(), column_len(g));
    let mut columns = Buffer::take(length * pixels);
    let (a, b) = (View::transposed(weight, length), View::transposed(gradient, g.outputs));
    product_by_rows(&mut columns, a, b, g.outputs, pixels);
    // Channels first, so that a task has a channel to itself; then in order.
    let places = g.batch * g.height * g.width;
    let mut by_channel = Buffer::take(g.inputs * places);
    by_channel.par_chunks_mut(places).zip(columns.par_chunks((g.taps() * pixels).max(1))).for_each(
        |(to, rows)| {
            to.fill(0.0);
            for (tap, row) in rows.chunks_exact(pixels).enumerate() {
                each_pixel(g, tap, |place, pixel| to[pixel] += row[place]);
            }
        },
    );
    let results = exchanged(&by_channel, places);
    put(&results, (dx, add), finish, above);
}
