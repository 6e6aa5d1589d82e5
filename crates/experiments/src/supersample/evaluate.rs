//! Evaluation on the test pictures.

use super::data::{Batch, Data};
use super::{LossKind, Network, Settings, raw_losses};
use crate::checkpoint::Checkpoint;
use crate::device::DeviceName;
use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use datasets::{Augmentation, Pictures, SIZE, standardize};
use std::path::Path;

/// Pictures a forward pass.
const BATCH: usize = 32;

/// How well pictures are restored.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Pictures in all.
    pub count: usize,
    /// Mean `raw` loss.
    pub mean_loss: f64,
    /// Mean over the pictures of the peak signal-to-noise ratio in dB, on the 0..255 scale.
    pub psnr: f64,
    /// The same for the input, the picture at half the size and back.
    pub input_psnr: f64,
    /// The first pictures: input, output, target, on the 0..255 scale.
    pub samples: Vec<[Vec<f32>; 3]>,
}

/// How many pictures [`Evaluation::samples`] holds at most.
const SAMPLES: usize = 6;

/// Evaluates a network on pictures, standardised but not augmented.
///
/// # Errors
/// The device has no memory for it.
pub fn evaluate(
    network: &Network,
    kind: LossKind,
    pictures: &Pictures,
    device: &Device,
) -> Result<Evaluation> {
    let mut sums = Evaluation {
        count: pictures.len(),
        mean_loss: 0.0,
        psnr: 0.0,
        input_psnr: 0.0,
        samples: Vec::new(),
    };
    for chunk in pictures.pixels().chunks(BATCH) {
        let mut targets = vec![0.0; chunk.len() * SIZE];
        let mut scales = Vec::new();
        for (picture, out) in chunk.iter().zip(targets.chunks_exact_mut(SIZE)) {
            Augmentation::NONE.apply(picture, out);
            scales.push(standardize(out));
        }
        let (input, target) = Batch::new(targets).tensors(device)?;
        let output = network.forward(&input)?.detach();
        let losses = raw_losses(kind, &output, &target)?.to_vec1::<f32>()?;
        sums.mean_loss += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let [input, output, target] = [values(&input)?, values(&output)?, values(&target)?];
        for (i, (mean, divisor)) in scales.into_iter().enumerate() {
            let restored = |values: &[f32]| -> Vec<f32> {
                let picture = &values[i * SIZE..(i + 1) * SIZE];
                picture.iter().map(|&x| (f64::from(x) * divisor + mean) as f32).collect()
            };
            let sample = [restored(&input), restored(&output), restored(&target)];
            sums.psnr += psnr(&sample[1], &sample[2]);
            sums.input_psnr += psnr(&sample[0], &sample[2]);
            if sums.samples.len() < SAMPLES {
                sums.samples.push(sample);
            }
        }
    }
    let count = pictures.len() as f64;
    sums.mean_loss /= count;
    sums.psnr /= count;
    sums.input_psnr /= count;
    Ok(sums)
}

/// Peak signal-to-noise ratio in dB for a peak of 255; at most 100, for equal pictures.
fn psnr(a: &[f32], b: &[f32]) -> f64 {
    let square: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let mean = square / a.len() as f64;
    (10.0 * (255.0 * 255.0 / mean).log10()).min(100.0)
}

/// Evaluates a checkpoint on the test pictures of a folder, or on made ones.
///
/// # Errors
/// The checkpoint or the pictures cannot be read.
pub fn evaluate_file(
    checkpoint: &Path,
    data: impl FnOnce(&Settings) -> Result<Data>,
    device: DeviceName,
) -> Result<(Settings, Evaluation)> {
    let read = Checkpoint::<Settings>::read(checkpoint)?;
    let device = device.open()?;
    let network = Network::new(read.settings.width, read.settings.seed, &device)?;
    let named = || checkpoint.display().to_string();
    network.parameters().load("weights", &read.tensors).with_context(named)?;
    let data = data(&read.settings)?;
    ensure!(!data.test.is_empty(), "no test pictures");
    let evaluation = evaluate(&network, read.settings.loss, &data.test, &device)?;
    Ok((read.settings, evaluation))
}
