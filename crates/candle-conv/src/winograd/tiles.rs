//! The tiles of pictures: to planes of transformed numbers, and back.

use super::transforms::{
    LANES, Lanes, input, input_reversed, load, load_planes, output, output_reversed, square, store,
    store_planes,
};
use super::{CHUNK, GAP, PLANES};
use crate::activation::{Finish, Gradient, activate, pull_back};
use crate::buffer::Buffer;
use crate::geometry::Geometry;
use crate::shared::Shared;
use crate::vectorized::vectorized;
use std::ops::Range;

/// The tiles of some pictures.
#[derive(Clone, Copy)]
pub struct Tiles {
    pub down: usize,
    pub along: usize,
    /// Tile rows of all pictures.
    pub rows: usize,
    rows_per_chunk: usize,
}

impl Tiles {
    pub fn new(g: &Geometry) -> Self {
        let (down, along) = (g.out_height.div_ceil(4), g.out_width.div_ceil(4));
        let rows = g.batch * down;
        let rows_per_chunk = (CHUNK / along.max(1)).clamp(1, rows.max(1));
        Self { down, along, rows, rows_per_chunk }
    }

    /// Numbers between the planes of a chunk with so many channels.
    pub fn plane(&self, channels: usize) -> usize {
        self.rows_per_chunk * self.along * channels + GAP
    }

    pub fn buffer(&self, channels: usize) -> Buffer {
        Buffer::take(PLANES * self.plane(channels))
    }

    /// Tile rows of as many whole pictures as make about a chunk.
    pub fn rows_per_unit(&self) -> usize {
        (CHUNK / (self.down * self.along)).max(1) * self.down
    }

    /// The chunks of some tile rows.
    pub fn chunks(&self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let step = self.rows_per_chunk;
        rows.clone().step_by(step).map(move |first| first..(first + step).min(rows.end))
    }
}

/// Where an input pixel's numbers begin, for a place counted from the padding's corner; `None` in
/// the padding.
#[inline(always)]
fn input_pixel(g: &Geometry, picture: usize, y: usize, x: usize) -> Option<usize> {
    let (y, x) = (y.wrapping_sub(g.padding.before), x.wrapping_sub(g.padding.before));
    let inside = y < g.height && x < g.width;
    inside.then(|| ((picture * g.height + y) * g.width + x) * g.inputs)
}

/// Where a result pixel's numbers begin.
#[inline(always)]
fn result_pixel(g: &Geometry, picture: usize, y: usize, x: usize) -> usize {
    ((picture * g.out_height + y) * g.out_width + x) * g.outputs
}

vectorized! {
    /// The input tiles of one tile row into the planes of `out`; `place` is its row in the chunk.
    pub fn transform_input(
        g: &Geometry,
        tiles: Tiles,
        x: &[f32],
        row: usize,
        place: usize,
        out: &Shared<'_>,
    ) {
        let (picture, down) = (row / tiles.down, row % tiles.down);
        let plane = tiles.plane(g.inputs);
        let mut taken = [[[0.0; LANES]; 6]; 6];
        for along in 0..tiles.along {
            let tile = (place * tiles.along + along) * g.inputs;
            for c in (0..g.inputs).step_by(LANES) {
                for (dy, taken) in taken.iter_mut().enumerate() {
                    for (dx, taken) in taken.iter_mut().enumerate() {
                        *taken = match input_pixel(g, picture, 4 * down + dy, 4 * along + dx) {
                            Some(pixel) => load(x, pixel + c),
                            None => [0.0; LANES],
                        };
                    }
                }
                let planes: [[Lanes; 6]; 6] = square(&taken, input);
                // SAFETY: the tile is this task's alone.
                unsafe { store_planes(out, plane, tile + c, &planes) };
            }
        }
    }
}

vectorized! {
    /// One tile row of the result from the planes of products.
    pub fn transform_output(
        g: &Geometry,
        tiles: Tiles,
        m: &[f32],
        row: usize,
        place: usize,
        finish: &Finish<'_>,
        y: &Shared<'_>,
        above: &Shared<'_, u8>,
    ) {
        let (picture, down) = (row / tiles.down, row % tiles.down);
        let plane = tiles.plane(g.outputs);
        for along in 0..tiles.along {
            let tile = (place * tiles.along + along) * g.outputs;
            for c in (0..g.outputs).step_by(LANES) {
                let taken = load_planes(m, plane, tile + c);
                let pixels: [[Lanes; 4]; 4] = square(&taken, output);
                let bias = load(finish.bias, c);
                for (dy, pixels) in pixels.iter().enumerate().take(g.out_height - 4 * down) {
                    for (dx, pixel) in pixels.iter().enumerate().take(g.out_width - 4 * along) {
                        let at = result_pixel(g, picture, 4 * down + dy, 4 * along + dx) + c;
                        let mut sums = *pixel;
                        for lane in 0..LANES {
                            sums[lane] += bias[lane];
                        }
                        if !above.is_empty() {
                            // SAFETY: the tile row is this task's alone.
                            let above = unsafe { above.part(at, LANES) };
                            for lane in 0..LANES {
                                above[lane] = u8::from(sums[lane] > 0.0);
                            }
                        }
                        let residual = finish.residual.map_or([0.0; LANES], |r| load(r, at));
                        for lane in 0..LANES {
                            sums[lane] = activate(sums[lane], finish.slope) + residual[lane];
                        }
                        // SAFETY: as above.
                        store(unsafe { y.part(at, LANES) }, 0, &sums);
                    }
                }
            }
        }
    }
}

vectorized! {
    /// The gradient before the activation of one tile row, transformed into the planes of `out`, and
    /// added to the bias's gradient.
    pub fn transform_gradient(
        g: &Geometry,
        tiles: Tiles,
        gradient: Gradient<'_>,
        row: usize,
        place: usize,
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
                        let at = result_pixel(g, picture, 4 * down + dy, 4 * along + dx) + c;
                        *taken = load(gradient.values, at);
                        if !gradient.above.is_empty() {
                            let mut above = [0; LANES];
                            above.copy_from_slice(&gradient.above[at..at + LANES]);
                            for lane in 0..LANES {
                                taken[lane] = pull_back(taken[lane], above[lane], gradient.slope);
                            }
                        }
                        for lane in 0..LANES {
                            sums[lane] += taken[lane];
                        }
                    }
                }
                let planes: [[Lanes; 6]; 6] = square(&taken, output_reversed);
                // SAFETY: the tile is this task's alone.
                unsafe { store_planes(out, plane, tile + c, &planes) };
            }
            store(bias, c, &sums);
        }
    }
}

/// What the gradient of the pictures holds where a tile row is about to write.
#[derive(Clone, Copy)]
pub struct Written {
    /// All is to be added to.
    pub all: bool,
    /// The tile row above has been written.
    pub above: bool,
    /// The tile row below has been written.
    pub below: bool,
}

vectorized! {
    /// Writes one tile row's part of the gradient of the pictures, or adds it to what is written:
    /// tiles overlap by two pixels.
    pub fn write_input_gradient(
        g: &Geometry,
        tiles: Tiles,
        dv: &[f32],
        row: usize,
        place: usize,
        written: Written,
        dx: &Shared<'_>,
    ) {
        let (picture, down) = (row / tiles.down, row % tiles.down);
        let plane = tiles.plane(g.inputs);
        for along in 0..tiles.along {
            let tile = (place * tiles.along + along) * g.inputs;
            for c in (0..g.inputs).step_by(LANES) {
                let taken = load_planes(dv, plane, tile + c);
                let pixels: [[Lanes; 6]; 6] = square(&taken, input_reversed);
                for (y, pixels) in pixels.iter().enumerate() {
                    let add = written.all || y < 2 && written.above || y > 3 && written.below;
                    for (x, numbers) in pixels.iter().enumerate() {
                        if let Some(pixel) = input_pixel(g, picture, 4 * down + y, 4 * along + x) {
                            // SAFETY: no tile row that runs at the same time reaches this pixel.
                            let out = unsafe { dx.part(pixel + c, LANES) };
                            let mut sums = *numbers;
                            if add || x < 2 && along > 0 {
                                let before = load(out, 0);
                                for lane in 0..LANES {
                                    sums[lane] += before[lane];
                                }
                            }
                            store(out, 0, &sums);
                        }
                    }
                }
            }
        }
    }
}
