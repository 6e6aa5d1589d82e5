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

/// Groups of units whose weight gradients are summed apart, and then together.
const GROUPS: usize = 8;
/// Multiplications in a product below which it is not worth a task of its own.
const SMALL: usize = 1 << 18;

/// The tiles of some pictures.
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
        let rows = g.batch * down;
        let rows_per_chunk = (CHUNK / along.max(1)).clamp(1, rows.max(1));
        Self { down, along, rows, rows_per_chunk }
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

/// Numbers between the planes of kernel gradients.
fn kernel_plane(g: &Geometry) -> usize {
    g.inputs * g.outputs + GAP
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
        let parallel = 16 * PLANES * plane >= SMALL;
        each(parallel, 0..rows.0, |row| {
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

/// The gradient of the weights from those of the transformed kernels, summed in order.
fn weight_gradient(g: &Geometry, du: &[Buffer]) -> Vec<f32> {
    let mut weight = vec![0.0; g.weight_len()];
    let shared = Shared::new(&mut weight);
    let parallel = 16 * PLANES * g.inputs * g.outputs >= SMALL;
    each(parallel, 0..g.inputs, |i| reverse_kernels(g, du, i, &shared));
    weight
}

vectorized! {
    /// The gradient of all weights of one input channel.
    fn reverse_kernels(
        g: &Geometry,
        du: &[Buffer],
        input: usize,
        weight: &Shared<'_>,
    ) {
        for c in (0..g.outputs).step_by(LANES) {
            let mut taken = [[[0.0; LANES]; 6]; 6];
            for p in 0..PLANES {
                let at = p * kernel_plane(g) + input * g.outputs + c;
                let mut sum = load(&du[0], at);
                for du in &du[1..] {
                    let more = load(du, at);
                    for lane in 0..LANES {
                        sum[lane] += more[lane];
                    }
                }
                taken[p / 6][p % 6] = sum;
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
