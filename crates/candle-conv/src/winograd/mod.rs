//! 3x3 convolutions at stride 1 by Winograd's F(4x4, 3x3) (Lavin, Gray, "Fast algorithms for
//! convolutional neural networks", CVPR 2016).
//!
//! The result is cut into tiles of 4x4 pixels. Each tile's 6x6 input pixels, and the kernels, are
//! transformed into 36 numbers; results are products of these, so that a layer is 36 matrix
//! products of `tiles x inputs` by `inputs x outputs`, with a quarter of the multiplications. The
//! backward pass runs the same steps in reverse: `dU = V^T Z` and `dV = Z U^T` share `Z`, the
//! transformed gradient.
//!
//! Work is cut into units of whole pictures and these into chunks of tiles that fit the cache. Sizes
//! do not depend on the number of threads, so results do not either. Several units go to threads
//! whole; a single one shares its tile rows, and then its 36 products, out to threads.

mod kernels;
mod tiles;
mod transforms;

use crate::buffer::Buffer;
use crate::geometry::Geometry;
use crate::matrix::{View, product};
use crate::shared::Shared;
use crate::sums::sum;
use kernels::{Kernels, kernel_plane, weight_gradient};
use rayon::prelude::*;
use tiles::{Tiles, add_input_gradient, transform_gradient, transform_input, transform_output};

const PLANES: usize = 36;
/// Tiles a chunk has at most, but at least one tile row.
const CHUNK: usize = 128;
/// Numbers between planes, so that they do not fall on the same places of the cache.
const GAP: usize = 16;
/// Groups of units whose weight gradients are summed apart, and then together.
const GROUPS: usize = 8;
/// Multiplications in a product below which it is not worth a task of its own.
const SMALL: usize = 1 << 18;

/// Pictures a unit has: about a chunk's worth of tiles.
fn pictures_per_unit(g: &Geometry) -> usize {
    let tiles = g.out_height.div_ceil(4) * g.out_width.div_ceil(4);
    (CHUNK / tiles.max(1)).max(1)
}

/// Numbers of one picture, and of one result.
fn picture_lengths(g: &Geometry) -> (usize, usize) {
    (g.height * g.width * g.inputs, g.out_height * g.out_width * g.outputs)
}

/// Calls `work` for each number of a range, side by side if `parallel`.
fn each(parallel: bool, mut range: std::ops::Range<usize>, work: impl Fn(usize) + Send + Sync) {
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
    let kernels = Kernels::forward(g, weight);
    let unit = pictures_per_unit(g);
    let (x_length, y_length) = picture_lengths(g);
    let run = |x: &[f32], y: &mut [f32], parallel: bool| {
        let part = Geometry { batch: y.len() / y_length, ..*g };
        forward_unit(&part, x, &kernels, bias, slope, y, parallel);
    };
    if g.batch <= unit {
        run(x, &mut y, true);
    } else {
        let xs = x.par_chunks(unit * x_length);
        y.par_chunks_mut(unit * y_length).zip(xs).for_each(|(y, x)| run(x, y, false));
    }
    y
}

fn forward_unit(
    g: &Geometry,
    x: &[f32],
    kernels: &Kernels,
    bias: &[f32],
    slope: f32,
    y: &mut [f32],
    parallel: bool,
) {
    let tiles = Tiles::new(g);
    let (mut v, mut m) = (tiles.buffer(g.inputs), tiles.buffer(g.outputs));
    let y = Shared::new(y);
    for chunk in tiles.chunks() {
        let first = chunk.start;
        let count = chunk.len() * tiles.along;
        let parallel = parallel && count * g.inputs * g.outputs >= SMALL;
        let v_shared = Shared::new(&mut v);
        each(parallel, chunk.clone(), |row| {
            transform_input(g, tiles, x, row, row - first, &v_shared);
        });
        let v = &v[..];
        each_plane(parallel, &mut m, tiles.plane(g.outputs), |p, m| {
            let a = View::rows(&v[p * tiles.plane(g.inputs)..], g.inputs);
            let b = View::rows(kernels.plane(p), g.outputs);
            product(m, false, a, b, (count, g.inputs, g.outputs));
        });
        let m = &m[..];
        each(parallel, chunk, |row| {
            transform_output(g, tiles, m, row, row - first, bias, slope, &y);
        });
    }
}

/// The gradients of pictures (if asked for), weights and bias, from that of the result.
pub(crate) fn backward(
    g: &Geometry,
    x: &[f32],
    weight: &[f32],
    y: &[f32],
    gradient: &[f32],
    slope: f32,
    input_gradient: bool,
) -> (Option<Vec<f32>>, Vec<f32>, Vec<f32>) {
    let mut dx = vec![0.0; if input_gradient { g.x_len() } else { 0 }];
    if gradient.is_empty() {
        let (weight, bias) = (vec![0.0; g.weight_len()], vec![0.0; g.outputs]);
        return (input_gradient.then_some(dx), weight, bias);
    }
    let kernels = input_gradient.then(|| Kernels::backward(g, weight));
    let (x_length, y_length) = picture_lengths(g);
    let unit = pictures_per_unit(g);
    let units = g.batch.div_ceil(unit);
    let group = units.div_ceil(GROUPS.min(units)) * unit;
    let run = |index: usize, dx: &mut [f32], parallel: bool| {
        let pictures = index * group..((index + 1) * group).min(g.batch);
        let xs = pictures.start * x_length..pictures.end * x_length;
        let ys = pictures.start * y_length..pictures.end * y_length;
        let pass = Backward {
            g: Geometry { batch: pictures.len(), ..*g },
            x: &x[xs],
            y: &y[ys.clone()],
            gradient: &gradient[ys],
            slope,
            kernels: kernels.as_ref(),
        };
        pass.run(dx, parallel)
    };
    let groups = g.batch.div_ceil(group);
    let parts: Vec<(Buffer, Vec<f32>)> = if groups == 1 {
        vec![run(0, &mut dx, true)]
    } else {
        let mut dx_parts: Vec<&mut [f32]> = dx.chunks_mut(group * x_length).collect();
        dx_parts.resize_with(groups, Default::default);
        let dx_parts = dx_parts.into_par_iter().enumerate();
        dx_parts.map(|(index, dx)| run(index, dx, false)).collect()
    };
    let (du, bias): (Vec<Buffer>, Vec<Vec<f32>>) = parts.into_iter().unzip();
    (input_gradient.then_some(dx), weight_gradient(g, &du), sum(bias, g.outputs))
}

/// The backward pass over some pictures.
struct Backward<'a> {
    g: Geometry,
    x: &'a [f32],
    y: &'a [f32],
    gradient: &'a [f32],
    slope: f32,
    /// Absent where no gradient of the pictures is asked for.
    kernels: Option<&'a Kernels>,
}

impl Backward<'_> {
    /// Adds to the zeros in `dx`; gives the gradients of the transformed kernels and of the bias.
    fn run(&self, dx: &mut [f32], parallel: bool) -> (Buffer, Vec<f32>) {
        let (g, tiles) = (&self.g, Tiles::new(&self.g));
        let (mut v, mut z) = (tiles.buffer(g.inputs), tiles.buffer(g.outputs));
        let (v_plane, z_plane) = (tiles.plane(g.inputs), tiles.plane(g.outputs));
        let mut dv = self.kernels.map(|_| tiles.buffer(g.inputs));
        let mut du = Buffer::take(PLANES * kernel_plane(g));
        let mut bias = vec![0.0; tiles.rows * g.outputs];
        let bias_shared = Shared::new(&mut bias);
        let dx = Shared::new(dx);
        for chunk in tiles.chunks() {
            let first = chunk.start;
            let count = chunk.len() * tiles.along;
            let parallel = parallel && count * g.inputs * g.outputs >= SMALL;
            let (v_shared, z_shared) = (Shared::new(&mut v), Shared::new(&mut z));
            each(parallel, chunk.clone(), |row| {
                let place = row - first;
                transform_input(g, tiles, self.x, row, place, &v_shared);
                // SAFETY: the tile row is this task's alone.
                let bias = unsafe { bias_shared.part(row * g.outputs, g.outputs) };
                let (y, gradient, slope) = (self.y, self.gradient, self.slope);
                transform_gradient(g, tiles, y, gradient, row, place, slope, &z_shared, bias);
            });
            let (v, z) = (&v[..], &z[..]);
            each_plane(parallel, &mut du, kernel_plane(g), |p, du| {
                let a = View::transposed(&v[p * v_plane..], g.inputs);
                let b = View::rows(&z[p * z_plane..], g.outputs);
                product(du, first > 0, a, b, (g.inputs, count, g.outputs));
            });
            let (Some(dv), Some(kernels)) = (&mut dv, self.kernels) else { continue };
            each_plane(parallel, dv, v_plane, |p, dv| {
                let a = View::rows(&z[p * z_plane..], g.outputs);
                let b = View::rows(kernels.plane(p), g.inputs);
                product(dv, false, a, b, (count, g.outputs, g.inputs));
            });
            // A tile row's input overlaps that of the rows beside it: first every second one.
            let dv = &dv[..];
            for odd in 0..2 {
                each(parallel, chunk.clone(), |row| {
                    if row % tiles.down % 2 == odd {
                        add_input_gradient(g, tiles, dv, row, row - first, &dx);
                    }
                });
            }
        }
        let rows = bias.chunks_exact(g.outputs).map(<[f32]>::to_vec).collect();
        (du, sum(rows, g.outputs))
    }
}
