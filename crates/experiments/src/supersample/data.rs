//! The pictures of a run, and the tensors made of them.

use super::Settings;
use crate::prefetch::Prefetch;
use anyhow::Result;
use candle_core::{Device, Tensor};
use datasets::{CHANNELS, Pictures, SIDE, Stream, cifar10, dead_leaves, resize};
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

/// Pictures to restore.
#[derive(Clone, Debug)]
pub struct Batch {
    input: Vec<f32>,
    target: Vec<f32>,
}

impl Batch {
    /// Of standardised pictures, one after the other: they are the target; the input is the pictures
    /// at half the size and back.
    pub fn new(pictures: Vec<f32>) -> Self {
        let small = resize(&pictures, SIDE, SIDE / 2);
        Self { input: resize(&small, SIDE / 2, SIDE), target: pictures }
    }

    /// Input and target, `[batch, 3, 32, 32]` each.
    ///
    /// # Errors
    /// The device has no memory for them.
    pub fn tensors(self, device: &Device) -> Result<(Tensor, Tensor)> {
        let shape = (self.target.len() / (CHANNELS * SIDE * SIDE), CHANNELS, SIDE, SIDE);
        let tensor = |values: Vec<f32>| Tensor::from_vec(values, shape, device);
        Ok((tensor(self.input)?, tensor(self.target)?))
    }
}

/// Batches made ahead of time from a stream, which they use up.
///
/// # Errors
/// The system gives no thread.
pub fn prefetched(mut stream: Stream, batch: usize) -> Result<Prefetch<Batch>> {
    Prefetch::new(AHEAD, move || Ok(Batch::new(stream.next_batch(batch))))
}

/// Batches made ahead.
const AHEAD: usize = 2;
