//! Sums in an order that does not depend on the number of threads.

use rayon::prelude::*;

/// The sum of some vectors, in order.
pub(crate) fn sum(parts: Vec<Vec<f32>>, length: usize) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_else(|| vec![0.0; length]);
    for part in parts {
        all.iter_mut().zip(part).for_each(|(all, part)| *all += part);
    }
    all
}

/// The sum over all pixels, for each channel.
pub(crate) fn pixel_sums(gradient: &[f32], channels: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = gradient
        .par_chunks((1024 * channels).max(1))
        .map(|part| {
            let mut sums = vec![0.0; channels];
            for pixel in part.chunks_exact(channels) {
                sums.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
            }
            sums
        })
        .collect();
    sum(parts, channels)
}
