//! Crops, lattices and partial scans.
#![allow(clippy::unwrap_used)]

use datasets::micrograph::{Micrograph, normalize, range};
use datasets::{CropStream, Crops, Split, blur, lattice, partial_scan, spiral_mask, to_unit};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use test_data::TensorFile;

#[test]
fn spiral_masks_equal_the_golden_ones() {
    let mut checked = 0;
    for file in TensorFile::all("stem").unwrap() {
        for name in file.names().unwrap() {
            let Some((coverage, side)) =
                name.strip_prefix("coverage_").and_then(|name| name.split_once(".side"))
            else {
                continue;
            };
            let coverage = 1.0 / coverage.parse::<f64>().unwrap();
            let (_, expected) = file.values(&name).unwrap();
            let found = spiral_mask(side.parse().unwrap(), coverage);
            let wrong = found.iter().zip(&expected).filter(|(a, b)| f32::from(**a) != **b).count();
            assert_eq!((wrong, found.len()), (0, expected.len()), "{name}");
            checked += 1;
        }
    }
    assert!(checked > 0, "no golden masks");
}

#[test]
fn blurs_and_scans_equal_the_golden_ones() {
    for file in TensorFile::all("stem").unwrap() {
        if !file.names().unwrap().contains(&"partial_scan".to_owned()) {
            continue;
        }
        let [truth, mask, scan, blurred] =
            ["truth", "mask", "partial_scan", "blur.truth"].map(|name| file.values(name).unwrap());
        let (height, width) = (truth.0[2], truth.0[3]);
        let mask: Vec<u8> = mask.1.iter().map(|&x| (16.0 * x) as u8).collect();
        let none = None::<&mut ChaCha8Rng>;
        let found = to_unit(&partial_scan(&truth.1, &mask, (height, width), none));
        for (found, expected) in found.iter().zip(&scan.1) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
        for (found, expected) in blur(&truth.1, height, width).iter().zip(&blurred.1) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }
}

#[test]
fn noise_is_on_the_scan_alone_and_weakest_where_it_stays() {
    let mut truth = lattice(64, 1, 1).pixels().to_vec();
    let found = range(&truth);
    normalize(&mut truth, found);
    let mask = spiral_mask(64, 0.05);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let scan = partial_scan(&truth, &mask, (64, 64), Some(&mut rng));
    for ((scan, mask), truth) in scan.iter().zip(&mask).zip(&truth) {
        assert!(*mask < 16 || scan == truth, "no noise where the beam stays");
        assert!(*mask > 0 || *scan == -1.0);
    }
}

/// Writes a TIFF file of 32-bit floats.
fn write(path: &Path, height: u32, width: u32, pixel: impl Fn(u32) -> f32) {
    let mut encoder =
        tiff::encoder::TiffEncoder::new(std::fs::File::create(path).unwrap()).unwrap();
    let pixels: Vec<f32> = (0..height * width).map(pixel).collect();
    encoder.write_image::<tiff::encoder::colortype::Gray32Float>(width, height, &pixels).unwrap();
}

#[test]
fn files_are_cut_into_crops_and_small_ones_found() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.tif"), 9, 13, |i| i as f32);
    write(&folder.path().join("b.tif"), 4, 4, |_| 1.0);
    let train = Crops::open(folder.path(), Split::Train, 4, false).unwrap();
    let test = Crops::open(folder.path(), Split::Test, 4, false).unwrap();
    assert_eq!((train.len(), test.len()), (6, 1)); // 2x3 and 1
    let crop = train.read(5).unwrap().0; // second row, third column
    assert_eq!(crop.pixels()[..5], [60.0, 61.0, 62.0, 63.0, 73.0]);
    assert_eq!(test.read(0).unwrap(), (Micrograph::new(4, 4, vec![1.0; 16]), 0));

    let error = Crops::open(folder.path(), Split::Train, 6, false).unwrap_err().to_string();
    assert!(error.contains("b.tif") && error.contains("4x4"), "{error}");
    let crops = Crops::open(folder.path(), Split::Train, 6, true).unwrap();
    assert!(crops.source().contains("1 smaller"), "{}", crops.source());
    let error = Crops::open(folder.path(), Split::Train, 20, true).unwrap_err().to_string();
    assert!(error.contains("20x20"), "{error}");

    std::fs::create_dir(folder.path().join("test")).unwrap();
    let error = Crops::open(folder.path(), Split::Train, 4, false).unwrap_err().to_string();
    assert!(error.contains("train"), "{error}");
    write(&folder.path().join("test/c.tif"), 4, 8, |i| if i == 0 { f32::NAN } else { 2.0 });
    let crops = Crops::open(folder.path(), Split::Test, 4, false).unwrap();
    let (crop, replaced) = crops.read(0).unwrap();
    assert_eq!((crops.len(), crop.pixels()[0], replaced), (2, 2.0, 1));
}

#[test]
fn a_stream_goes_on_where_it_was() {
    let crops = Crops::lattices(7, 32, 3);
    let mut whole = CropStream::new(crops.clone(), 5, 0);
    let all: Vec<Micrograph> = (0..20).map(|_| whole.next_crop().unwrap().0).collect();
    let mut late = CropStream::new(crops.clone(), 5, 11);
    assert_eq!(late.next_crop().unwrap().0, all[11]);
    // Within an epoch every crop comes once: as turned pictures have the same numbers.
    let sorted = |m: &Micrograph| {
        let mut pixels = m.pixels().to_vec();
        pixels.sort_by(f32::total_cmp);
        pixels
    };
    let mut first: Vec<_> = all[..7].iter().map(sorted).collect();
    let mut made: Vec<_> = (0..7).map(|i| sorted(&crops.read(i).unwrap().0)).collect();
    first.sort_by(|a, b| a.partial_cmp(b).unwrap());
    made.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert_eq!(first, made);
}

#[test]
fn real_micrographs() {
    let Some(folder) = test_data::stem_or_skip("real_micrographs") else { return };
    let crops = Crops::open(&folder, Split::Train, 128, false).unwrap();
    for number in 0..crops.len() {
        let found = crops.read(number).unwrap().0.statistics().unwrap();
        assert!(found.min >= 0.0 && found.max <= 1.0 && found.max > found.min, "{found:?}");
    }
}
