//! The pictures of a run, and the tensors made of them.

use super::Settings;
use anyhow::Result;
use candle_core::{Device, Tensor};
use datasets::{CHANNELS, Pictures, SIDE, cifar10, dead_leaves, resize};
use std::sync::Arc;

/// Pictures made on the spot where there is no data: how many, and from which seed.
const MADE_TRAIN: (usize, u64) = (4_000, 0x7261_696e);
const MADE_TEST: (usize, u64) = (500, 0x7465_7374);

/// Training and test pictures.
#[derive(Clone, Debug)]
pub struct Data {
    /// To train on.
    pub train: Arc<Pictures>,
    /// To evaluate on.
    pub test: Arc<Pictures>,
}

impl Data {
    /// Reads the CIFAR-10 folder of the settings, or makes pictures if it names none.
    ///
    /// # Errors
    /// A file is missing or damaged; the message says which, and what to do.
    pub fn open(settings: &Settings) -> Result<Self> {
        let count = settings.pictures.unwrap_or(usize::MAX);
        let (train, test) = match &settings.data {
            Some(folder) => (
                cifar10::open(folder, cifar10::Split::Train)?.take(count),
                cifar10::open(folder, cifar10::Split::Test)?.take(count),
            ),
            None => (
                dead_leaves(MADE_TRAIN.0.min(count), MADE_TRAIN.1),
                dead_leaves(MADE_TEST.0.min(count), MADE_TEST.1),
            ),
        };
        Ok(Self { train: Arc::new(train), test: Arc::new(test) })
    }
}

/// The network's input and target for standardised pictures, one after the other: the target is
/// the pictures themselves, the input the pictures at half the size and back.
///
/// # Errors
/// The device has no memory for them.
pub fn input_and_target(pictures: Vec<f32>, device: &Device) -> Result<(Tensor, Tensor)> {
    let small = resize(&pictures, SIDE, SIDE / 2);
    let input = resize(&small, SIDE / 2, SIDE);
    let shape = (pictures.len() / (CHANNELS * SIDE * SIDE), CHANNELS, SIDE, SIDE);
    Ok((Tensor::from_vec(input, shape, device)?, Tensor::from_vec(pictures, shape, device)?))
}
