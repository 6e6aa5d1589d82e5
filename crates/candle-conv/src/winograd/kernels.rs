//! Kernels to planes of transformed numbers, and their gradients back.

use super::transforms::{LANES, Lanes, kernel, kernel_reversed, load_planes, square, store_planes};
use super::{GAP, PLANES, SMALL, each};
use crate::buffer::Buffer;
use crate::geometry::Geometry;
use crate::shared::Shared;
use crate::vectorized::vectorized;

/// Transformed kernels: 36 row-major matrices.
pub struct Kernels {
    buffer: Buffer,
    plane: usize,
}

impl Kernels {
    /// Matrices of `inputs` rows and `outputs` columns.
    pub fn forward(g: &Geometry, weight: &[f32]) -> Self {
        Self::new(weight, (g.inputs, 9), (g.outputs, 9 * g.inputs))
    }

    /// Matrices of `outputs` rows and `inputs` columns.
    pub fn backward(g: &Geometry, weight: &[f32]) -> Self {
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

    pub fn plane(&self, p: usize) -> &[f32] {
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
            // SAFETY: the row is this task's alone.
            unsafe { store_planes(out, plane, row * columns + c, &planes) };
        }
    }
}

/// Numbers between the planes of kernel gradients.
pub fn kernel_plane(g: &Geometry) -> usize {
    g.inputs * g.outputs + GAP
}

/// The gradient of the weights from those of the transformed kernels, summed in order.
pub fn weight_gradient(g: &Geometry, du: &[Buffer]) -> Vec<f32> {
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
            let (plane, at) = (kernel_plane(g), input * g.outputs + c);
            let mut taken = load_planes(&du[0], plane, at);
            for du in &du[1..] {
                let more = load_planes(du, plane, at);
                for p in 0..PLANES {
                    for lane in 0..LANES {
                        taken[p / 6][p % 6][lane] += more[p / 6][p % 6][lane];
                    }
                }
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
