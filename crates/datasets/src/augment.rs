//! Augmentation and standardisation of pictures.

use crate::{SIDE, SIZE};
use rand::Rng;
use rand::RngExt;

/// What is done to a picture before it is standardised, in this order, on the 0..255 scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// Whether left and right are exchanged.
    pub mirror: bool,
    /// Added to every number; not clamped.
    pub brightness: f32,
    /// Deviations from each channel's mean are multiplied with this.
    pub contrast: f32,
}

impl Augmentation {
    /// Leaves pictures as they are.
    pub const NONE: Self = Self { mirror: false, brightness: 0.0, contrast: 1.0 };

    /// The experiment's: mirrored half of the time, brightness from -63 to 63, contrast from 0.2
    /// to 1.8.
    pub fn draw(rng: &mut impl Rng) -> Self {
        Self {
            mirror: rng.random(),
            brightness: rng.random_range(-63.0..=63.0),
            contrast: rng.random_range(0.2..=1.8),
        }
    }

    /// Writes the augmented picture, on the 0..255 scale, to `out`.
    ///
    /// # Panics
    /// If `out` is not of length [`SIZE`].
    pub fn apply(&self, picture: &[u8; SIZE], out: &mut [f32]) {
        assert_eq!(out.len(), SIZE, "room for one picture");
        for (from, to) in picture.chunks_exact(SIDE).zip(out.chunks_exact_mut(SIDE)) {
            for (i, to) in to.iter_mut().enumerate() {
                let pixel = from[if self.mirror { SIDE - 1 - i } else { i }];
                *to = f32::from(pixel) + self.brightness;
            }
        }
        if self.contrast == 1.0 {
            return;
        }
        for plane in out.chunks_exact_mut(SIDE * SIDE) {
            let mean = mean(plane) as f32;
            for x in plane {
                *x = (*x - mean) * self.contrast + mean;
            }
        }
    }
}

/// Shifts and scales a whole picture to mean 0 and standard deviation 1:
/// `(x - mean) / max(std, 1/sqrt(n))` for `n` numbers, so that a constant picture becomes 0.
///
/// Returns that mean and that divisor.
pub fn standardize(picture: &mut [f32]) -> (f64, f64) {
    let count = picture.len() as f64;
    let mean = mean(picture);
    let squares: f64 = picture.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
    let divisor = (squares / count).sqrt().max(1.0 / count.sqrt());
    for x in picture {
        *x = ((f64::from(*x) - mean) / divisor) as f32;
    }
    (mean, divisor)
}

fn mean(numbers: &[f32]) -> f64 {
    numbers.iter().map(|&x| f64::from(x)).sum::<f64>() / numbers.len() as f64
}
