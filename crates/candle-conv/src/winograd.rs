//! 3x3 convolutions at stride 1 by Winograd's F(4x4, 3x3) (Lavin, Gray, "Fast algorithms for
//! convolutional neural networks", CVPR 2016).
//!
//! The result is cut into tiles of 4x4 pixels. Each tile's 6x6 input pixels, and the kernels, are
//! transformed into 36 numbers; results are products of these, so that a layer is 36 matrix
//! products of `tiles x inputs` by `inputs x outputs`, with a quarter of the multiplications. The
//! backward pass runs the same steps in reverse: `dU = V^T Z` and `dV = Z U^T` share `Z`, the
//! transformed gradient.
//!
//! Tiles are handled in chunks that fit the cache, whose size does not depend on the number of
//! threads; within a chunk, tile rows and then the 36 products are shared out to threads.

use crate::activation::{activate, pull_back};
use crate::buffer::Buffer;
use crate::geometry::Geometry;
use crate::matrix::{View, product};
use crate::patches::sum;
use crate::shared::Shared;
use crate::transforms::{
    LANES, Lanes, input, input_reversed, kernel, kernel_reversed, load, output, output_reversed,
    square, store,
};
use crate::vectorized::vectorized;
use rayon::prelude::*;

const PLANES: usize = 36;
/// Tiles a chunk has at most, but at least one tile row.
const CHUNK: usize = 128;
/// Numbers between planes, so that they do not fall on the same places of the cache.
const GAP: usize = 16;

/// The tiles of a convolution.
#[derive(Clone, Copy)]
struct Tiles {
    down: usize,
    along: usize,
    /// Tile rows of all pictures.
    rows: usize,
    rows_per_chunk: usize,
}

impl Tiles {
    fn new(g: &Geometry) -> Self {
        let (down, along) = (g.out_height.div_ceil(4), g.out_width.div_ceil(4));
        let rows_per_chunk = (CHUNK / along.max(1)).max(1);
        Self { down, along, rows: g.batch * down, rows_per_chunk }
    }

    /// Numbers between the planes of a chunk with so many channels.
    fn plane(&self, channels: usize) -> usize {
        self.rows_per_chunk * self.along * channels + GAP
    }

    fn buffer(&self, channels: usize) -> Buffer {
        Buffer::take(PLANES * self.plane(channels))
    }

    /// The first and the one after the last tile row of each chunk.
    fn chunks(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (rows, step) = (self.rows, self.rows_per_chunk);
        (0..rows).step_by(step).map(move |first| first..(first + step).min(rows))
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
    let tiles = Tiles::new(g);
    let mut y = vec![0.0; g.y_len()];
    let kernels = Kernels::forward(g, weight);
    let (mut v, mut m) = (tiles.buffer(g.inputs), tiles.buffer(g.outputs));
    let y_shared = Shared::new(&mut y);
    for chunk in tiles.chunks() {
        let first = chunk.start;
        let count = chunk.len() * tiles.along;
        let v_shared = Shared::new(&mut v);
        chunk.clone().into_par_iter().for_each(|row| {
            transform_input(g, tiles, x, row, row - first, &v_shared);
        });
        let planes =
            m.par_chunks_mut(tiles.plane(g.outputs)).zip(v.par_chunks(tiles.plane(g.inputs)));
        planes.enumerate().for_each(|(p, (m, v))| {
            let (a, b) = (View::rows(v, g.inputs), View::rows(kernels.plane(p), g.outputs));
            product(m, false, a, b, (count, g.inputs, g.outputs));
        });
        let m = &m[..];
        chunk.into_par_iter().for_each(|row| {
            transform_output(g, tiles, m, row, row - first, bias, slope, &y_shared);
        });
    }
    y
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
    let tiles = Tiles::new(g);
    let mut dx = vec![0.0; if input_gradient { g.x_len() } else { 0 }];
    let kernels = input_gradient.then(|| Kernels::backward(g, weight));
    let (mut v, mut z) = (tiles.buffer(g.inputs), tiles.buffer(g.outputs));
    let mut dv = input_gradient.then(|| tiles.buffer(g.inputs));
    let kernel_plane = g.inputs * g.outputs + GAP;
    let mut du = Buffer::take(PLANES * kernel_plane);
    let mut bias_parts: Vec<Vec<f32>> = Vec::new();
    let dx_shared = Shared::new(&mut dx);
    for chunk in tiles.chunks() {
        let first = chunk.start;
        let count = chunk.len() * tiles.along;
        let (v_shared, z_shared) = (Shared::new(&mut v), Shared::new(&mut z));
        let parts = chunk.clone().into_par_iter().map(|row| {
            transform_input(g, tiles, x, row, row - first, &v_shared);
            let mut bias = vec![0.0; g.outputs];
            transform_gradient(
                g,
                tiles,
                y,
                gradient,
                row,
                row - first,
                slope,
                &z_shared,
                &mut bias,
            );
            bias
        });
        bias_parts.par_extend(parts);
        let v_planes = v.par_chunks(tiles.plane(g.inputs));
        let z_planes = z.par_chunks(tiles.plane(g.outputs));
        let du_planes = du.par_chunks_mut(kernel_plane);
        du_planes.zip(v_planes.zip(z_planes)).for_each(|(du, (v, z))| {
            let (a, b) = (View::transposed(v, g.inputs), View::rows(z, g.outputs));
            product(du, first > 0, a, b, (g.inputs, count, g.outputs));
        });
        let (Some(dv), Some(kernels)) = (&mut dv, &kernels) else { continue };
        let dv_planes = dv.par_chunks_mut(tiles.plane(g.inputs));
        let z_planes = z.par_chunks(tiles.plane(g.outputs));
        dv_planes.zip(z_planes).enumerate().for_each(|(p, (dv, z))| {
            let (a, b) = (View::rows(z, g.outputs), View::rows(kernels.plane(p), g.inputs));
            product(dv, false, a, b, (count, g.outputs, g.inputs));
        });
        // A tile row's input overlaps that of the rows above and below: first every second one.
        let dv = &dv[..];
        for odd in 0..2 {
            chunk.clone().into_par_iter().filter(|row| row % tiles.down % 2 == odd).for_each(
                |row| {
                    add_input_gradient(g, tiles, dv, row, row - first, &dx_shared);
                },
            );
        }
    }
    let weight = if tiles.rows == 0 {
        vec![0.0; g.weight_len()]
    } else {
        weight_gradient(g, &du, kernel_plane)
    };
    (input_gradient.then_some(dx), weight, sum(bias_parts, g.outputs))
}

/// Transformed kernels: 36 row-major matrices.
struct Kernels {
    buffer: Buffer,
    plane: usize,
}

impl Kernels {
    /// Matrices of `inputs` rows and `outputs` columns.
    fn forward(g: &Geometry, weight: &[f32]) -> Self {
        Self::new(weight, (g.inputs, 9), (g.outputs, 9 * g.inputs))
    }

    /// Matrices of `outputs` rows and `inputs` columns.
    fn backward(g: &Geometry, weight: &[f32]) -> Self {
        Self::new(weight, (g.outputs, 9 * g.inputs), (g.inputs, 9))
    }

    /// Rows and columns, each with their count and their distance in the weights.
    fn new(weight: &[f32], rows: (usize, usize), columns: (usize, usize)) -> Self {
        let plane = rows.0 * columns.0 + GAP;
        let mut buffer = Buffer::take(PLANES * plane);
        let shared = Shared::new(&mut buffer);
        (0..rows.0).into_par_iter().for_each(|row| {
            transform_kernels(&weight[row * rows.1..], columns.0, columns.1, row, plane, &shared);
        });
        Self { buffer, plane }
    }

    fn plane(&self, p: usize) -> &[f32] {
        &self.buffer[p * self.plane..(p + 1) * self.plane]
    }
}

vectorized! {
    /// One row of all kernel matrices.
    fn transform_kernels(
        weight: &[f32],
        columns: usize,
        distance: usize,
        row: usize,
        plane: usize,
        out: &Shared<'_>,
    ) {
        for c in (0..columns).step_by(LANES) {
            let mut taps = [[[0.0; LANES]; 3]; 3];
            for lane in 0..LANES {
                let taken = &weight[(c + lane) * distance..][..9];
                for tap in 0..9 {
                    taps[tap / 3][tap % 3][lane] = taken[tap];
                }
            }
            let planes: [[Lanes; 6]; 6] = square(&taps, kernel);
            for p in 0..PLANES {
                // SAFETY: the row is this task's alone.
                let out = unsafe { out.part(p * plane + row * columns + c, LANES) };
                store(out, 0, &planes[p / 6][p % 6]);
            }
        }
    }
}

vectorized! {
    /// The input tiles of one tile row into the planes of `out`; `place` is its row in the chunk.
    fn transform_input(
        g: &Geometry,
        tiles: Tiles,
        x: &[f32],
        row: usize,
        place: usize,
        out: &Shared<'_>,
    ) {
        let (picture, down) = (row / tiles.down, row % tiles.down);
        let plane = tiles.plane(g.inputs);
        for along in 0..tiles.along {
            let tile = (place * tiles.along + along) * g.inputs;
            for c in (0..g.inputs).step_by(LANES) {
                let mut taken = [[[0.0; LANES]; 6]; 6];
                for (dy, taken) in taken.iter_mut().enumerate() {
                    let y = (4 * down + dy).wrapping_sub(g.padding);
                    if y >= g.height {
                        continue;
                    }
                    for (dx, taken) in taken.iter_mut().enumerate() {
                        let column = (4 * along + dx).wrapping_sub(g.padding);
                        if column < g.width {
                            let pixel = (picture * g.height + y) * g.width + column;
                            *taken = load(x, pixel * g.inputs + c);
                        }
                    }
                }
                let planes: [[Lanes; 6]; 6] = square(&taken, input);
                for p in 0..PLANES {
                    // SAFETY: the tile is this task's alone.
                    let out = unsafe { out.part(p * plane + tile + c, LANES) };
                    store(out, 0, &planes[p / 6][p % 6]);
                }
            }
        }
    }
}

vectorized! {
    /// One tile row of the result from the planes of products.
    fn transform_output(
        g: &Geometry,
        tiles: Tiles,
        m: &[f32],
        row: usize,
        place: usize,
        bias: &[f32],
        slope: f32,
        y: &Shared<'_>,
    ) {
        let (picture, down) = (row / tiles.down, row % tiles.down);
        let plane = tiles.plane(g.outputs);
        for along in 0..tiles.along {
            let tile = (place * tiles.along + along) * g.outputs;
            for c in (0..g.outputs).step_by(LANES) {
                let mut taken = [[[0.0; LANES]; 6]; 6];
                for p in 0..PLANES {
                    taken[p / 6][p % 6] = load(m, p * plane + tile + c);
                }
                let pixels: [[Lanes; 4]; 4] = square(&taken, output);
                let bias = load(bias, c);
                for (dy, pixels) in pixels.iter().enumerate().take(g.out_height - 4 * down) {
                    for (dx, pixel) in pixels.iter().enumerate().take(g.out_width - 4 * along) {
                        let at = (picture * g.out_height + 4 * down + dy) * g.out_width;
                        let at = (at + 4 * along + dx) * g.outputs + c;
                        // SAFETY: the tile row is this task's alone.
                        let y = unsafe { y.part(at, LANES) };
                        for lane in 0..LANES {
                            y[lane] = activate(pixel[lane] + bias[lane], slope);
                        }
                    }
                }
            }
        }
    }
}

vectorized! {
    /// The gradient before the activation of one tile row, transformed into the planes of `out`, and
    /// added to the bias's gradient.
    fn transform_gradient(
        g: &Geometry,
        tiles: Tiles,
        y: &[f32],
        gradient: &[f32],
        row: usize,
        place: usize,
        slope: f32,
        out: &Shared<'_>,
        bias: &mut [f32],
    ) {
        let (picture, down) = (row / tiles.down, row % tiles.down);
        let plane = tiles.plane(g.outputs);
        for c in (0..g.outputs).step_by(LANES) {
            let mut sums = [0.0; LANES];
            for along in 0..tiles.along {
                let tile = (place * tiles.along + along) * g.outputs;
                let mut taken = [[[0.0; LANES]; 4]; 4];
                for (dy, taken) in taken.iter_mut().enumerate().take(g.out_height - 4 * down) {
                    for (dx, taken) in taken.iter_mut().enumerate().take(g.out_width - 4 * along) {
                        let at = (picture * g.out_height + 4 * down + dy) * g.out_width;
                        let at = (at + 4 * along + dx) * g.outputs + c;
                        let (gradient, result) = (load(gradient, at), load(y, at));
                        for lane in 0..LANES {
                            let before = pull_back(gradient[lane], result[lane], slope);
                            taken[lane] = before;
                            sums[lane] += before;
                        }
                    }
                }
                let planes: [[Lanes; 6]; 6] = square(&taken, output_reversed);
                for p in 0..PLANES {
                    // SAFETY: the tile is this task's alone.
                    let out = unsafe { out.part(p * plane + tile + c, LANES) };
                    store(out, 0, &planes[p / 6][p % 6]);
                }
            }
            store(bias, c, &sums);
        }
    }
}

vectorized! {
    /// Adds one tile row's part to the gradient of the pictures.
    fn add_input_gradient(
        g: &Geometry,
        tiles: Tiles,
        dv: &[f32],
        row: usize,
        place: usize,
        dx: &Shared<'_>,
    ) {
        let (picture, down) = (row / tiles.down, row % tiles.down);
        let plane = tiles.plane(g.inputs);
        for along in 0..tiles.along {
            let tile = (place * tiles.along + along) * g.inputs;
            for c in (0..g.inputs).step_by(LANES) {
                let mut taken = [[[0.0; LANES]; 6]; 6];
                for p in 0..PLANES {
                    taken[p / 6][p % 6] = load(dv, p * plane + tile + c);
                }
                let pixels: [[Lanes; 6]; 6] = square(&taken, input_reversed);
                for (dy, pixels) in pixels.iter().enumerate() {
                    let y = (4 * down + dy).wrapping_sub(g.padding);
                    if y >= g.height {
                        continue;
                    }
                    for (dx_, pixel) in pixels.iter().enumerate() {
                        let column = (4 * along + dx_).wrapping_sub(g.padding);
                        if column < g.width {
                            let at = ((picture * g.height + y) * g.width + column) * g.inputs + c;
                            // SAFETY: no tile row that runs at the same time reaches this pixel.
                            let out = unsafe { dx.part(at, LANES) };
                            for lane in 0..LANES {
                                out[lane] += pixel[lane];
                            }
                        }
                    }
                }
            }
        }
    }
}

fn weight_gradient(g: &Geometry, du: &[f32], plane: usize) -> Vec<f32> {
    let mut weight = vec![0.0; g.weight_len()];
    let shared = Shared::new(&mut weight);
    (0..g.inputs).into_par_iter().for_each(|i| reverse_kernels(g, du, plane, i, &shared));
    weight
}

vectorized! {
    /// The gradient of all weights of one input channel.
    fn reverse_kernels(
        g: &Geometry,
        du: &[f32],
        plane: usize,
        input: usize,
        weight: &Shared<'_>,
    ) {
        for c in (0..g.outputs).step_by(LANES) {
            let mut taken = [[[0.0; LANES]; 6]; 6];
            for p in 0..PLANES {
                taken[p / 6][p % 6] = load(du, p * plane + input * g.outputs + c);
            }
            let taps: [[Lanes; 3]; 3] = square(&taken, kernel_reversed);
            for lane in 0..LANES {
                // SAFETY: the input channel is this task's alone.
                let weight = unsafe { weight.part(((c + lane) * g.inputs + input) * 9, 9) };
                for tap in 0..9 {
                    weight[tap] = taps[tap / 3][tap % 3][lane];
                }
            }
        }
    }
}
