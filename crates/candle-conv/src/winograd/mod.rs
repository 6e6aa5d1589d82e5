//! 3x3 convolutions at stride 1 by Winograd's F(4x4, 3x3) (Lavin, Gray, "Fast algorithms for
//! convolutional neural networks", CVPR 2016).
//!
//! The result is cut into tiles of 4x4 pixels. Each tile's 6x6 input pixels, and the kernels, are
//! transformed into 36 numbers; results are products of these, so that a layer is 36 matrix
//! products of `tiles x inputs` by `inputs x outputs`, with a quarter of the multiplications. The
//! backward pass runs the same steps in reverse: `dU = V^T Z` and `dV = Z U^T` share `Z`, the
//! transformed gradient.
//!
//! Work is cut into units of whole pictures (ranges of tile rows, counted over all pictures) and
//! these into chunks of tiles that fit the cache. Sizes do not depend on the number of threads, so
//! results do not either. Units go to threads whole; where there are fewer than threads, each shares
//! its tile rows, and then its 36 products, out to threads.

mod kernels;
mod tiles;
mod transforms;

use crate::activation::{Finish, Gradient};
use crate::buffer::Buffer;
use crate::geometry::Geometry;
use crate::matrix::{View, product};
use crate::method::WeightGradients;
use crate::shared::Shared;
use crate::sums::sum;
use kernels::{Kernels, kernel_plane, weight_gradient};
use rayon::prelude::*;
use std::ops::Range;
use tiles::{
    Tiles, Written, transform_gradient, transform_input, transform_output, write_input_gradient,
};

const PLANES: usize = 36;
/// Tiles a chunk has at most, but at least one tile row.
const CHUNK: usize = 32;
/// Numbers between planes, so that they do not fall on the same places of the cache.
const GAP: usize = 16;
/// Groups of units whose weight gradients are summed apart, and then together.
const GROUPS: usize = 4;
/// Multiplications in a product below which it is not worth a task of its own.
const SMALL: usize = 1 << 18;

/// Calls `work` for each number of a range, side by side if `parallel`.
fn each(parallel: bool, mut range: Range<usize>, work: impl Fn(usize) + Send + Sync) {
    if parallel {
        range.into_par_iter().for_each(work);
    } else {
        range.by_ref().for_each(work);
    }
}

/// Calls `work` for each plane of a buffer, side by side if `parallel`.
fn each_plane(
    parallel: bool,
    planes: &mut [f32],
    length: usize,
    work: impl Fn(usize, &mut [f32]) + Send + Sync,
) {
    if parallel {
        planes.par_chunks_mut(length).enumerate().for_each(|(p, plane)| work(p, plane));
    } else {
        planes.chunks_mut(length).enumerate().for_each(|(p, plane)| work(p, plane));
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
    let (tiles, kernels) = (Tiles::new(g), Kernels::forward(g, weight));
    let pass =
        Forward { g, tiles, x, kernels, finish, y: Shared::new(y), above: Shared::new(above) };
    let unit = tiles.rows_per_unit();
    let units = tiles.rows.div_ceil(unit);
    let inside = units < rayon::current_num_threads();
    each(units > 1, 0..units, |n| pass.run(n * unit..((n + 1) * unit).min(tiles.rows), inside));
}

struct Forward<'a> {
    g: &'a Geometry,
    tiles: Tiles,
    x: &'a [f32],
    kernels: Kernels,
    finish: &'a Finish<'a>,
    y: Shared<'a>,
    above: Shared<'a, u8>,
}

impl Forward<'_> {
    /// Some tile rows.
    fn run(&self, rows: Range<usize>, parallel: bool) {
        let (g, tiles) = (self.g, self.tiles);
        let (v_plane, m_plane) = (tiles.plane(g.inputs), tiles.plane(g.outputs));
        let (mut v, mut m) = (tiles.buffer(g.inputs), tiles.buffer(g.outputs));
        for chunk in tiles.chunks(rows) {
            let first = chunk.start;
            let count = chunk.len() * tiles.along;
            let parallel = parallel && count * g.inputs * g.outputs >= SMALL;
            let v_shared = Shared::new(&mut v);
            each(parallel, chunk.clone(), |row| {
                transform_input(g, tiles, self.x, row, row - first, &v_shared);
            });
            let v = &v[..];
            each_plane(parallel, &mut m, m_plane, |p, m| {
                let a = View::rows(&v[p * v_plane..], g.inputs);
                let b = View::rows(self.kernels.plane(p), g.outputs);
                product(m, false, a, b, (count, g.inputs, g.outputs));
            });
            let m = &m[..];
            each(parallel, chunk, |row| {
                transform_output(g, tiles, m, row, row - first, self.finish, &self.y, &self.above);
            });
        }
    }
}

/// The gradients of weights and bias from that of the result; writes or adds that of the pictures if
/// asked for.
pub(crate) fn backward(
    g: &Geometry,
    x: &[f32],
    weight: &[f32],
    gradient: Gradient<'_>,
    dx: Option<(&mut [f32], bool)>,
) -> WeightGradients {
    if gradient.values.is_empty() {
        if let Some((dx, false)) = dx {
            dx.fill(0.0);
        }
        return WeightGradients { weight: vec![0.0; g.weight_len()], bias: vec![0.0; g.outputs] };
    }
    let tiles = Tiles::new(g);
    let dx = dx.map(|(dx, add)| PictureGradient {
        kernels: Kernels::backward(g, weight),
        dx: Shared::new(dx),
        add,
    });
    let pass = Backward { g, tiles, x, gradient, dx };
    let unit = tiles.rows_per_unit();
    let units = tiles.rows.div_ceil(unit);
    let group = units.div_ceil(GROUPS.min(units)) * unit;
    let groups = tiles.rows.div_ceil(group);
    let inside = groups < rayon::current_num_threads();
    let (du, bias): (Vec<Buffer>, Vec<Vec<f32>>) = (0..groups)
        .into_par_iter()
        .map(|n| pass.run(n * group..((n + 1) * group).min(tiles.rows), inside))
        .unzip();
    WeightGradients { weight: weight_gradient(g, &du), bias: sum(&bias, g.outputs) }
}

struct Backward<'a> {
    g: &'a Geometry,
    tiles: Tiles,
    x: &'a [f32],
    gradient: Gradient<'a>,
    dx: Option<PictureGradient<'a>>,
}

/// Where the gradient of the pictures goes, and by which kernels.
struct PictureGradient<'a> {
    kernels: Kernels,
    dx: Shared<'a>,
    add: bool,
}

impl Backward<'_> {
    /// Some tile rows of whole pictures: the gradients of the transformed kernels and of the bias.
    fn run(&self, rows: Range<usize>, parallel: bool) -> (Buffer, Vec<f32>) {
        let (g, tiles) = (self.g, self.tiles);
        let (v_plane, z_plane) = (tiles.plane(g.inputs), tiles.plane(g.outputs));
        let (mut v, mut z) = (tiles.buffer(g.inputs), tiles.buffer(g.outputs));
        let mut dv = self.dx.as_ref().map(|_| tiles.buffer(g.inputs));
        let mut du = Buffer::take(PLANES * kernel_plane(g));
        let start = rows.start;
        let mut bias = vec![0.0; rows.len() * g.outputs];
        let bias_shared = Shared::new(&mut bias);
        for chunk in tiles.chunks(rows) {
            let (first, end) = (chunk.start, chunk.end);
            let count = chunk.len() * tiles.along;
            let parallel = parallel && count * g.inputs * g.outputs >= SMALL;
            let (v_shared, z_shared) = (Shared::new(&mut v), Shared::new(&mut z));
            each(parallel, chunk.clone(), |row| {
                let place = row - first;
                transform_input(g, tiles, self.x, row, place, &v_shared);
                // SAFETY: the tile row is this task's alone.
                let bias = unsafe { bias_shared.part((row - start) * g.outputs, g.outputs) };
                transform_gradient(g, tiles, self.gradient, row, place, &z_shared, bias);
            });
            let (v, z) = (&v[..], &z[..]);
            each_plane(parallel, &mut du, kernel_plane(g), |p, du| {
                let a = View::transposed(&v[p * v_plane..], g.inputs);
                let b = View::rows(&z[p * z_plane..], g.outputs);
                product(du, first > start, a, b, (g.inputs, count, g.outputs));
            });
            let (Some(dv), Some(to)) = (&mut dv, &self.dx) else { continue };
            each_plane(parallel, dv, v_plane, |p, dv| {
                let a = View::rows(&z[p * z_plane..], g.outputs);
                let b = View::rows(to.kernels.plane(p), g.inputs);
                product(dv, false, a, b, (count, g.outputs, g.inputs));
            });
            // A tile row's input overlaps that of the rows beside it: first every second one.
            let dv = &dv[..];
            for odd in 0..2 {
                each(parallel, chunk.clone(), |row| {
                    let down = row % tiles.down;
                    if down % 2 == odd {
                        let written = Written {
                            all: to.add,
                            above: down > 0 && (odd == 1 || row == first),
                            below: odd == 1 && down + 1 < tiles.down && row + 1 < end,
                        };
                        write_input_gradient(g, tiles, dv, row, row - first, written, &to.dx);
                    }
                });
            }
        }
        let rows: Vec<&[f32]> = bias.chunks_exact(g.outputs).collect();
        (du, sum(&rows, g.outputs))
    }
}
