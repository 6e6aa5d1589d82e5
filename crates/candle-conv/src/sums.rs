//! Sums in an order that does not depend on the number of threads.

use rayon::prelude::*;
use std::ops::Deref;

/// The sum of some vectors, in order.
pub(crate) fn sum<V: Deref<Target = [f32]>>(parts: &[V], length: usize) -> Vec<f32> {
    let Some((first, more)) = parts.split_first() else { return vec![0.0; length] };
    let mut all = first.to_vec();
    for part in more {
        all.iter_mut().zip(&**part).for_each(|(all, part)| *all += part);
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
    sum(&parts, channels)
}
