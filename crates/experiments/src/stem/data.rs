//! The crops of a run, and what is made of them.

use super::Settings;
use crate::prefetch::Prefetch;
use anyhow::Result;
use candle_core::{Device, Tensor};
use datasets::micrograph::{Micrograph, normalize, range};
use datasets::{
    CropStream, Crops, Split, blur, partial_scan, resize_to, spiral_mask, to_unit, weight,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Lattices made on the spot where there is no data: how many, and from which seed.
const MADE_TRAIN: (usize, u64) = (10_000, 0x7261_696e);
const MADE_TEST: (usize, u64) = (20, 0x7465_7374);
/// Scans made ahead.
const AHEAD: usize = 4;

/// Crops to train on, and those to evaluate on.
#[derive(Clone, Debug)]
pub struct Data {
    /// To train on.
    pub train: Crops,
    /// To evaluate on.
    pub test: TestData,
}

/// Crops to evaluate on, and the mask of all scans.
#[derive(Clone, Debug)]
pub struct TestData {
    /// The crops.
    pub crops: Crops,
    /// The scan's mask in sixteenths, row by row.
    pub mask: Arc<Vec<u8>>,
}

impl TestData {
    /// Finds the micrographs of the settings, or makes lattices if they name none.
    ///
    /// # Errors
    /// A file is missing, damaged or too small; the message says which, and what to do.
    pub fn open(settings: &Settings) -> Result<Self> {
        let crops = crops(settings, Split::Test, MADE_TEST)?;
        Ok(Self { crops, mask: Arc::new(spiral_mask(settings.side, settings.coverage.value())) })
    }
}

fn crops(settings: &Settings, split: Split, made: (usize, u64)) -> Result<Crops> {
    let Settings { side, skip_small, .. } = *settings;
    let all = match &settings.data {
        Some(data) => Crops::open(data, split, side, skip_small)?,
        None => Crops::lattices(made.0, side, made.1),
    };
    Ok(all.take(settings.pictures.unwrap_or(usize::MAX)))
}

impl Data {
    /// Finds the micrographs of the settings, or makes lattices if they name none.
    ///
    /// # Errors
    /// A file is missing, damaged or too small; the message says which, and what to do.
    pub fn open(settings: &Settings) -> Result<Self> {
        Ok(Self {
            train: crops(settings, Split::Train, MADE_TRAIN)?,
            test: TestData::open(settings)?,
        })
    }
}

/// A scan to complete.
#[derive(Clone, Debug)]
pub struct Scan {
    height: usize,
    width: usize,
    /// Scan (0 to 1) and mask of each pixel.
    full: Vec<f32>,
    /// The same at half the height and width.
    half: Vec<f32>,
}

impl Scan {
    /// From a scan with values 0 to 1 and its mask in sixteenths. Sides are even.
    pub fn new(scan: &[f32], mask: &[u8], (height, width): (usize, usize)) -> Self {
        let mask: Vec<f32> = mask.iter().map(|&mask| weight(mask)).collect();
        let small = |plane: &[f32]| resize_to(plane, (height, width), (height / 2, width / 2));
        let pairs =
            |a: &[f32], b: &[f32]| a.iter().zip(b).flat_map(|(&a, &b)| [a, b]).collect::<Vec<_>>();
        let half = pairs(&small(scan), &small(&mask));
        Self { height, width, full: pairs(scan, &mask), half }
    }

    /// `[1, height, width, 2]`, and the same at half the height and width.
    ///
    /// # Errors
    /// The device has no memory for them.
    pub fn tensors(self, device: &Device) -> Result<(Tensor, Tensor)> {
        let (height, width) = (self.height, self.width);
        let full = Tensor::from_vec(self.full, (1, height, width, 2), device)?;
        let half = Tensor::from_vec(self.half, (1, height / 2, width / 2, 2), device)?;
        Ok((full, half))
    }
}

/// A scan, and what it is to be completed to.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The scan.
    pub scan: Scan,
    /// The partial scan before it was scaled to 0 to 1.
    pub raw: Vec<f32>,
    /// The crop itself, -1 to 1.
    pub truth: Vec<f32>,
    /// It blurred: the outer target.
    pub outer: Vec<f32>,
    /// It at half the side and then blurred: the inner target.
    pub inner: Vec<f32>,
    /// Pixels of the crop that were not finite, and became the mean of the others.
    pub replaced: usize,
    side: usize,
}

impl Batch {
    /// Scans a square crop; with detector noise from a generator.
    pub fn new(
        (crop, replaced): (&Micrograph, usize),
        mask: &[u8],
        noise: Option<&mut impl Rng>,
    ) -> Self {
        let side = crop.height();
        let mut truth = crop.pixels().to_vec();
        let found = range(&truth);
        normalize(&mut truth, found);
        let raw = partial_scan(&truth, mask, (side, side), noise);
        let half = resize_to(&truth, (side, side), (side / 2, side / 2));
        Self {
            scan: Scan::new(&to_unit(&raw), mask, (side, side)),
            raw,
            outer: blur(&truth, side, side),
            inner: blur(&half, side / 2, side / 2),
            truth,
            replaced,
            side,
        }
    }

    /// Inputs at full and half side, and the outer and the inner target, channels-last.
    ///
    /// # Errors
    /// The device has no memory for them.
    pub fn tensors(self, device: &Device) -> Result<[Tensor; 4]> {
        let (full, half) = self.scan.tensors(device)?;
        let outer = Tensor::from_vec(self.outer, (1, self.side, self.side, 1), device)?;
        let small = self.side / 2;
        let inner = Tensor::from_vec(self.inner, (1, small, small, 1), device)?;
        Ok([full, half, outer, inner])
    }
}

/// The scans after `drawn` crops, read and made ahead of time.
///
/// # Errors
/// The system gives no thread.
pub fn prefetched(settings: &Settings, data: &Data, drawn: u64) -> Result<Prefetch<Batch>> {
    let mut stream = CropStream::new(data.train.clone(), settings.seed, drawn);
    let (mask, noise) = (data.test.mask.clone(), settings.noise);
    Prefetch::new(AHEAD, move || {
        let (crop, replaced, mut rng) = stream.next_crop()?;
        Ok(Batch::new((&crop, replaced), &mask, noise.then_some(&mut rng)))
    })
}

/// The scan of a test crop; its noise depends on its number alone.
///
/// # Errors
/// The crop cannot be read.
pub fn test_scan(settings: &Settings, data: &TestData, number: usize) -> Result<Batch> {
    let (crop, replaced) = data.crops.read(number)?;
    let mut rng = test_noise(number);
    Ok(Batch::new((&crop, replaced), &data.mask, settings.noise.then_some(&mut rng)))
}

/// Not the numbers that made lattices are drawn with.
const NOISE_SEED: u64 = 0x6e6f_6973;

fn test_noise(number: usize) -> ChaCha8Rng {
    let mut rng: ChaCha8Rng = rand::SeedableRng::seed_from_u64(NOISE_SEED);
    rng.set_stream(number as u64);
    rng
}
