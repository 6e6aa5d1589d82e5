//! Augmentation, standardisation and resizing against TensorFlow's.
#![allow(clippy::unwrap_used)]

use datasets::{Augmentation, SIDE, SIZE, resize, standardize};
use test_data::TensorFile;

/// Of each picture's largest absolute value.
const TOLERANCE: f32 = 1e-5;

struct Check<'a> {
    file: &'a TensorFile,
    worst: f32,
}

impl Check<'_> {
    fn equal(&mut self, name: &str, ours: &[f32]) {
        let (shape, expected) = self.file.values(name).unwrap();
        assert_eq!(ours.len(), expected.len(), "{name}");
        let size = expected.len() / shape[0];
        for (ours, expected) in ours.chunks(size).zip(expected.chunks(size)) {
            let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            for (a, b) in ours.iter().zip(expected) {
                let off = (a - b).abs() / largest;
                assert!(off <= TOLERANCE, "{name}: {a} for {b}, largest {largest}");
                self.worst = self.worst.max(off);
            }
        }
    }
}

#[test]
fn every_stage() {
    for file in TensorFile::all("supersample").unwrap() {
        let mut check = Check { file: &file, worst: 0.0 };
        let (_, bytes) = file.values("image_u8").unwrap();
        let pictures: Vec<[u8; SIZE]> = bytes
            .chunks_exact(SIZE)
            .map(|picture| std::array::from_fn(|i| picture[i] as u8))
            .collect();
        let augmented = |augmentation: Augmentation| {
            let mut out = vec![0.0; pictures.len() * SIZE];
            for (picture, out) in pictures.iter().zip(out.chunks_exact_mut(SIZE)) {
                augmentation.apply(picture, out);
            }
            out
        };
        let standardized = |mut pictures: Vec<f32>| {
            pictures.chunks_exact_mut(SIZE).for_each(|picture| {
                standardize(picture);
            });
            pictures
        };
        let target = standardized(augmented(Augmentation::NONE));
        check.equal("standardized", &target);
        let brighter = Augmentation { mirror: true, brightness: 20.0, contrast: 1.0 };
        check.equal("flipped_brightness20", &augmented(brighter));
        let stronger = augmented(Augmentation { contrast: 1.3, ..brighter });
        check.equal("flipped_brightness20_contrast13", &stronger);
        check.equal("augmented_standardized", &standardized(stronger));
        let small = resize(&target, SIDE, SIDE / 2);
        check.equal("downsampled16", &small);
        check.equal("upsampled32", &resize(&small, SIDE / 2, SIDE));
        println!("{}: largest deviation {:.1e}", file.path.display(), check.worst);
    }
}

#[test]
fn a_constant_picture_standardizes_to_zeros() {
    let mut picture = vec![0.0; SIZE];
    Augmentation { mirror: false, brightness: 5.0, contrast: 0.3 }.apply(&[7; SIZE], &mut picture);
    let (mean, divisor) = standardize(&mut picture);
    assert!(picture.iter().all(|&x| x == 0.0));
    assert_eq!((mean, divisor), (12.0, 1.0 / (SIZE as f64).sqrt()));
}

#[test]
fn resizing_keeps_corners_and_lines() {
    let ramp: Vec<f32> = (0..9).map(|i| (i / 3 * 10 + i % 3) as f32).collect();
    assert_eq!(resize(&ramp, 3, 3), ramp);
    let fine = resize(&ramp, 3, 5);
    assert_eq!(&fine[..5], [0.0, 0.5, 1.0, 1.5, 2.0]);
    assert_eq!(fine[24], 22.0);
    assert_eq!(resize(&[4.0], 1, 2), [4.0; 4]);
    assert_eq!(resize(&ramp, 3, 1), [0.0]);
}
