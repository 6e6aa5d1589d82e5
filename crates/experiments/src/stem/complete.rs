//! Completing scans of any size.

use super::Generator;
use super::data::Scan;
use super::network::MULTIPLE;
use anyhow::Result;
use candle_core::Device;
use datasets::micrograph::{Micrograph, normalize, range};
use datasets::{partial_scan, spiral_mask, to_unit};
use rand::Rng;

/// The mask of a spiral over a picture of any sides: the middle of that over a square.
pub fn mask_for((height, width): (usize, usize), coverage: f64) -> Vec<u8> {
    let side = height.max(width);
    let square = spiral_mask(side, coverage);
    let (top, left) = ((side - height) / 2, (side - width) / 2);
    let rows = square[top * side..].chunks(side).take(height);
    rows.flat_map(|row| &row[left..left + width]).copied().collect()
}

/// A scan on the way to its completion.
#[derive(Clone, Debug)]
pub struct Partial {
    height: usize,
    width: usize,
    /// As [`partial_scan`] gives it, -1 to 1.
    raw: Vec<f32>,
    mask: Vec<u8>,
    /// Middle and half extent of the range of the stored numbers that becomes -1 to 1.
    range: (f64, f64),
}

impl Partial {
    /// Scans a truth.
    pub fn of_truth(truth: &Micrograph, mask: Vec<u8>, noise: Option<&mut impl Rng>) -> Self {
        let (height, width) = (truth.height(), truth.width());
        let mut pixels = truth.pixels().to_vec();
        let range = range(&pixels);
        normalize(&mut pixels, range);
        let raw = partial_scan(&pixels, &mask, (height, width), noise);
        Self { height, width, raw, mask, range }
    }

    /// An actual scan: only the pixels where the mask is above 0 count, and their range is the scale.
    pub fn of_scan(scan: &Micrograph, mask: Vec<u8>) -> Self {
        let (height, width) = (scan.height(), scan.width());
        let seen = scan.pixels().iter().zip(&mask).filter(|(_, mask)| **mask > 0);
        let range = range(&seen.map(|(&x, _)| x).collect::<Vec<_>>());
        let mut pixels = scan.pixels().to_vec();
        normalize(&mut pixels, range);
        let none = None::<&mut rand_chacha::ChaCha8Rng>;
        let raw = partial_scan(&pixels, &mask, (height, width), none);
        Self { height, width, raw, mask, range }
    }

    /// The partial scan, -1 to 1, and its mask in sixteenths.
    pub fn scan(&self) -> (&[f32], &[u8]) {
        (&self.raw, &self.mask)
    }

    /// The completed picture, -1 to 1. Sides that are no multiples of 32 are padded with pixels that
    /// were not scanned, and cut again.
    ///
    /// # Errors
    /// The device has no memory for it.
    pub fn complete(&self, generator: &Generator, device: &Device) -> Result<Vec<f32>> {
        let up = |side: usize| side.next_multiple_of(MULTIPLE);
        let (height, width) = (up(self.height), up(self.width));
        // Pixels that are not scanned are -1, which becomes 0.
        let scan = padded(&to_unit(&self.raw), self.width, (height, width), 0.0);
        let mask = padded(&self.mask, self.width, (height, width), 0);
        let (full, half) = Scan::new(&scan, &mask, (height, width)).tensors(device)?;
        let outer =
            generator.forward(&full, &half, false)?.outer.flatten_all()?.to_vec1::<f32>()?;
        let rows = outer.chunks(width).take(self.height);
        Ok(rows.flat_map(|row| &row[..self.width]).copied().collect())
    }

    /// A picture with values -1 to 1 in the units of the scan.
    pub fn in_its_units(&self, picture: &[f32]) -> Micrograph {
        let (middle, half) = self.range;
        let pixels = picture.iter().map(|&x| (f64::from(x) * half + middle) as f32).collect();
        Micrograph::new(self.height, self.width, pixels)
    }
}

/// A picture with more rows and columns after its last.
fn padded<T: Copy>(picture: &[T], width: usize, to: (usize, usize), with: T) -> Vec<T> {
    let mut out = vec![with; to.0 * to.1];
    for (to, from) in out.chunks_mut(to.1).zip(picture.chunks(width)) {
        to[..width].copy_from_slice(from);
    }
    out
}
