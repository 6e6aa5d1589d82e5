//! The stream of batches: shuffling, state, and made pictures.
#![allow(clippy::unwrap_used)]

use datasets::{CHANNELS, SIDE, SIZE, Stream, dead_leaves};
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_state_is_the_number_drawn(
        seed in any::<u64>(),
        before in prop::collection::vec(0..9_usize, 0..6),
        size in 1..9_usize,
    ) {
        let pictures = Arc::new(dead_leaves(7, 3));
        let mut stream = Stream::new(Arc::clone(&pictures), seed);
        for size in before {
            stream.next_batch(size);
        }
        let mut resumed = Stream::new(pictures, seed);
        resumed.seek(stream.drawn());
        prop_assert_eq!(resumed.next_batch(size), stream.next_batch(size));
        // Batches of other sizes draw the same pictures.
        resumed.seek(0);
        let whole = resumed.next_batch(2 * size);
        resumed.seek(0);
        let halves = [resumed.next_batch(size), resumed.next_batch(size)].concat();
        prop_assert_eq!(whole, halves);
    }
}

/// A picture as drawn, up to augmentation: which pixels are brighter than their neighbour.
fn mirrored_or_not(picture: &[f32]) -> [Vec<bool>; 2] {
    let rises = |mirror: bool| {
        let pixel =
            |row: usize, i: usize| picture[row * SIDE + if mirror { SIDE - 1 - i } else { i }];
        (0..SIDE)
            .flat_map(|row| (1..SIDE).map(move |i| pixel(row, i) > pixel(row, i - 1)))
            .collect()
    };
    [rises(false), rises(true)]
}

#[test]
fn an_epoch_draws_every_picture_once_and_the_next_in_another_order() {
    let count = 50;
    let pictures = Arc::new(dead_leaves(count, 3));
    let identity: Vec<[Vec<bool>; 2]> =
        pictures.pixels().iter().map(|picture| mirrored_or_not(&picture.map(f32::from))).collect();
    let mut stream = Stream::new(pictures, 1);
    let mut orders = Vec::new();
    for _ in 0..3 {
        let epoch = stream.next_batch(count);
        let order: Vec<usize> = epoch
            .chunks_exact(SIZE)
            .map(|picture| {
                let drawn = &mirrored_or_not(picture)[0];
                identity.iter().position(|forms| forms.contains(drawn)).unwrap()
            })
            .collect();
        assert_eq!(order.iter().collect::<HashSet<_>>().len(), count);
        orders.push(order);
    }
    assert!(orders[0] != orders[1] && orders[1] != orders[2]);
}

#[test]
fn batches_are_standardised_and_augmented() {
    let mut stream = Stream::new(Arc::new(dead_leaves(1, 3)), 1);
    let batch = stream.next_batch(40);
    let mut mirrored = 0;
    let first = mirrored_or_not(&batch[..SIZE])[0].clone();
    for picture in batch.chunks_exact(SIZE) {
        let mean = picture.iter().map(|&x| f64::from(x)).sum::<f64>() / SIZE as f64;
        let square = picture.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / SIZE as f64;
        assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4);
        mirrored += usize::from(mirrored_or_not(picture)[0] != first);
    }
    assert!((5..=35).contains(&mirrored), "{mirrored} of 40");
}

#[test]
fn made_pictures_are_the_same_everywhere_and_differ_from_each_other() {
    let pictures = dead_leaves(20, 5);
    assert_eq!(pictures, dead_leaves(20, 5));
    assert_ne!(pictures.pixels(), dead_leaves(20, 6).pixels());
    assert_eq!(pictures.pixels().iter().collect::<HashSet<_>>().len(), 20);
    assert!(pictures.source().contains("made on the spot"));
    for picture in pictures.pixels() {
        let colours: HashSet<_> =
            (0..SIDE * SIDE).map(|i| [0, 1, 2].map(|c| picture[c * SIDE * SIDE + i])).collect();
        assert!(colours.len() > 10 && CHANNELS == 3);
    }
}

#[test]
fn a_part_of_the_pictures_is_corrupted_the_same_ones_at_each_draw() {
    let count = 400;
    let pictures = Arc::new(dead_leaves(count, 3));
    let mut clean = Stream::new(Arc::clone(&pictures), 1);
    let mut stream = Stream::new(Arc::clone(&pictures), 1).with_corrupted(0.1);
    let mut seen: Vec<HashSet<Vec<i32>>> = Vec::new();
    for _ in 0..2 {
        let (clean, batch) = (clean.next_batch(count), stream.next_batch(count));
        let noises = clean.chunks(SIZE).zip(batch.chunks(SIZE)).filter(|(a, b)| a != b);
        // Up to the rounding of sums.
        let noises = noises.map(|(a, b)| a.iter().zip(b).map(|(a, b)| b - a).collect::<Vec<f32>>());
        let noises: Vec<Vec<f32>> = noises.collect();
        assert!((20..=60).contains(&noises.len()), "{} of {count}", noises.len());
        for noise in &noises {
            let square = noise.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / SIZE as f64;
            assert!((45.0..55.0).contains(&square.sqrt()), "{}", square.sqrt());
        }
        let rounded = |noise: &Vec<f32>| noise[..8].iter().map(|x| x.round() as i32).collect();
        seen.push(noises.iter().map(rounded).collect());
    }
    assert_eq!(seen[0], seen[1]);
}
