//! Partial scans: what a detector sees of a picture along a scan.

use crate::micrograph::{normalize, range};
use rand::{Rng, RngExt};

/// The 5-tap Gaussian of standard deviation 2.5 pixels that targets are blurred with.
fn gaussian() -> [f64; 5] {
    let weights = [2.0, 1.0, 0.0, 1.0, 2.0_f64].map(|d| (-d * d / (2.0 * 2.5 * 2.5)).exp());
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

/// A picture blurred by a 5x5 Gaussian of standard deviation 2.5 pixels, mirrored at the border
/// without repeating the edge.
///
/// # Panics
/// If `pixels` are not `height * width`, or a side is below 3.
pub fn blur(pixels: &[f32], height: usize, width: usize) -> Vec<f32> {
    assert!(pixels.len() == height * width && height.min(width) >= 3, "a picture of 3x3 or more");
    let along = |from: &[f64], length: usize, step: usize| -> Vec<f64> {
        let weights = gaussian();
        let mirrored = |place: usize, tap: usize| {
            let place = (place + tap).abs_diff(2);
            if place < length { place } else { 2 * (length - 1) - place }
        };
        (0..from.len())
            .map(|i| {
                let place = i / step % length;
                let first = i - place * step;
                let taps = weights.iter().enumerate();
                taps.map(|(tap, weight)| weight * from[first + mirrored(place, tap) * step]).sum()
            })
            .collect()
    };
    let wide: Vec<f64> = pixels.iter().map(|&x| f64::from(x)).collect();
    let rows = along(&wide, width, 1);
    along(&rows, height, width).into_iter().map(|x| x as f32).collect()
}

/// The partial scan of a picture with values -1 to 1; `mask` in sixteenths.
///
/// Where the mask is above 0: `mask * truth`; or, with detector noise from a generator,
/// `mask * (mask * truth + 2 * (1 - mask) * u * b)` with `u` uniform below 1 and `b` the blurred
/// truth scaled to -1 to 1. Elsewhere -1.
///
/// # Panics
/// If `truth` and `mask` are not `height * width`.
pub fn partial_scan(
    truth: &[f32],
    mask: &[u8],
    (height, width): (usize, usize),
    noise: Option<&mut impl Rng>,
) -> Vec<f32> {
    assert_eq!(truth.len(), mask.len(), "a mask for every pixel");
    let mut scan = vec![-1.0; truth.len()];
    let seen = scan.iter_mut().zip(truth).zip(mask).enumerate().filter(|(_, (_, mask))| **mask > 0);
    match noise {
        None => seen.for_each(|(_, ((scan, truth), mask))| *scan = weight(*mask) * truth),
        Some(rng) => {
            let mut blurred = blur(truth, height, width);
            let found = range(&blurred);
            normalize(&mut blurred, found);
            for (i, ((scan, truth), mask)) in seen {
                let mask = weight(*mask);
                let noise = 2.0 * (1.0 - mask) * rng.random::<f32>() * blurred[i];
                *scan = mask * (mask * truth + noise);
            }
        }
    }
    scan
}

/// Numbers scaled to 0 to 1: `(x - min) / (max - min)`; 1/2 if they are all the same.
pub fn to_unit(numbers: &[f32]) -> Vec<f32> {
    let mut unit = numbers.to_vec();
    let found = range(&unit);
    normalize(&mut unit, found);
    unit.iter_mut().for_each(|x| *x = 0.5 * *x + 0.5);
    unit
}

/// A mask's value, 0 to 1.
pub fn weight(sixteenths: u8) -> f32 {
    f32::from(sixteenths) / 16.0
}
