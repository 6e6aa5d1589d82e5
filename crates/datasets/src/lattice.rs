//! Micrographs made on the spot: atomic lattices.
//!
//! One or two grains, each a lattice of columns with a second, fainter one between; columns are
//! Gaussians; a slow change of brightness, jumps of scan rows and noise are added. Functions come from
//! `libm`, so that pictures are the same on every machine.

use crate::micrograph::Micrograph;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A lattice of columns.
struct Grain {
    /// From pixels to cells: `(u, v) = inverse * (x, y)`.
    inverse: [[f64; 2]; 2],
    basis: [[f64; 2]; 2],
    origin: [f64; 2],
    /// Brightness of the columns at the corners and in the middle of the cells.
    heights: [f64; 2],
    /// Their standard deviation in pixels.
    width: f64,
}

impl Grain {
    fn new(rng: &mut ChaCha8Rng, spacing: f64) -> Self {
        let angle = rng.random::<f64>() * std::f64::consts::PI;
        let between = std::f64::consts::PI * (1.0 / 3.0 + rng.random::<f64>() / 6.0);
        let ratio = 1.0 + 0.5 * rng.random::<f64>();
        let vector =
            |length: f64, angle: f64| [length * libm::cos(angle), length * libm::sin(angle)];
        let [a, b] = [vector(spacing, angle), vector(spacing * ratio, angle + between)];
        let determinant = a[0] * b[1] - a[1] * b[0];
        Self {
            inverse: [
                [b[1] / determinant, -b[0] / determinant],
                [-a[1] / determinant, a[0] / determinant],
            ],
            basis: [a, b],
            origin: [rng.random::<f64>() * spacing, rng.random::<f64>() * spacing],
            heights: [1.0, 0.7 * rng.random::<f64>()],
            width: spacing * (0.14 + 0.08 * rng.random::<f64>()),
        }
    }

    fn brightness(&self, x: f64, y: f64) -> f64 {
        let (x, y) = (x - self.origin[0], y - self.origin[1]);
        let [u, v] = self.inverse.map(|row| row[0] * x + row[1] * y);
        let mut sum = 0.0;
        for (height, offset) in self.heights.into_iter().zip([0.0, 0.5]) {
            let (cu, cv) = (libm::round(u - offset) + offset, libm::round(v - offset) + offset);
            for du in [-1.0, 0.0, 1.0] {
                for dv in [-1.0, 0.0, 1.0] {
                    let (p, q) = (cu + du, cv + dv);
                    let dx = x - p * self.basis[0][0] - q * self.basis[1][0];
                    let dy = y - p * self.basis[0][1] - q * self.basis[1][1];
                    let square = (dx * dx + dy * dy) / (2.0 * self.width * self.width);
                    if square < 12.0 {
                        sum += height * libm::exp(-square);
                    }
                }
            }
        }
        sum
    }
}

/// The `number`-th picture of a seed, of `side` pixels each way; numbers are counts of a detector.
pub fn lattice(side: usize, seed: u64, number: u64) -> Micrograph {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    let spacing = 14.0 + 14.0 * rng.random::<f64>();
    let grains = [Grain::new(&mut rng, spacing), Grain::new(&mut rng, spacing)];
    // The border between grains: outside the picture for about half of them.
    let normal = rng.random::<f64>() * 2.0 * std::f64::consts::PI;
    let (nx, ny) = (libm::cos(normal), libm::sin(normal));
    let distance = (rng.random::<f64>() * 2.0 - 1.0) * side as f64;
    let slope =
        [rng.random::<f64>() - 0.5, rng.random::<f64>() - 0.5].map(|x| 0.6 * x / side as f64);
    let middle = side as f64 / 2.0;
    let mut pixels = Vec::with_capacity(side * side);
    for row in 0..side {
        let shift = 0.5 * normal_number(&mut rng);
        for column in 0..side {
            let (x, y) = (column as f64 + shift, row as f64);
            let across = (x - middle) * nx + (y - middle) * ny;
            let signal = 0.1
                + grains[usize::from(across > distance)].brightness(x, y)
                + slope[0] * (x - middle)
                + slope[1] * (y - middle);
            pixels.push((1000.0 * (signal + 0.06 * normal_number(&mut rng))) as f32);
        }
    }
    Micrograph::new(side, side, pixels)
}

/// About normally distributed: the sum of twelve uniform numbers.
fn normal_number(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}
