//! Evaluation on test crops.

use super::data::{Batch, test_scan};
use super::{Generator, Settings, TestData, raw_loss};
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};

/// How well crops are completed.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Crops in all.
    pub count: usize,
    /// Mean and standard deviation of the outer loss.
    pub outer: (f64, f64),
    /// Mean and standard deviation of the inner loss.
    pub inner: (f64, f64),
    /// Root of the mean squared error in percent of the range, against the blurred truth.
    pub rms_blurred: f64,
    /// The same against the truth itself.
    pub rms: f64,
}

/// Evaluates a generator on all test crops of a run.
///
/// # Errors
/// A crop cannot be read, or the device has no memory for it.
pub fn evaluate(
    generator: &Generator,
    settings: &Settings,
    data: &TestData,
    device: &Device,
) -> Result<Evaluation> {
    let mut losses = [Vec::new(), Vec::new()];
    let (mut blurred, mut itself) = (MeanSquare::default(), MeanSquare::default());
    for number in 0..data.crops.len() {
        let batch = test_scan(settings, data, number)?;
        let (truth, target) = (batch.truth.clone(), batch.outer.clone());
        let (outer, found) = completed(generator, batch, device)?;
        losses[0].push(found.0);
        losses[1].push(found.1);
        blurred.add(&outer, &target);
        itself.add(&outer, &truth);
    }
    let [outer, inner] = losses.map(|losses| mean_and_std(&losses));
    Ok(Evaluation {
        count: data.crops.len(),
        outer,
        inner,
        rms_blurred: blurred.rms_percent(),
        rms: itself.rms_percent(),
    })
}

/// The outer output for a test scan, and both losses.
///
/// # Errors
/// The device has no memory for it.
pub fn completed(
    generator: &Generator,
    batch: Batch,
    device: &Device,
) -> Result<(Vec<f32>, (f64, f64))> {
    let [full, half, outer_target, inner_target] = batch.tensors(device)?;
    let outputs = generator.forward(&full, &half, true)?;
    let inner = outputs.inner.context("the inner output, while training")?;
    let loss = |output: &Tensor, target: &Tensor| -> Result<f64> {
        let loss = raw_loss(output, target)?.to_vec1::<f32>()?;
        Ok(f64::from(loss.first().copied().unwrap_or(f32::NAN)))
    };
    let losses = (loss(&outputs.outer, &outer_target)?, loss(&inner, &inner_target)?);
    Ok((outputs.outer.flatten_all()?.to_vec1()?, losses))
}

/// The mean squared error over the pixels of many pictures.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeanSquare {
    sum: f64,
    count: usize,
}

impl MeanSquare {
    /// Adds a picture and what it should be, both on the scale from -1 to 1.
    pub fn add(&mut self, picture: &[f32], expected: &[f32]) {
        let off = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        self.sum += picture.iter().zip(expected).map(off).sum::<f64>();
        self.count += picture.len();
    }

    /// The root of the mean, in percent of the range: on the scale from 0 to 1, times 100.
    pub fn rms_percent(&self) -> f64 {
        50.0 * (self.sum / self.count as f64).sqrt()
    }
}

fn mean_and_std(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}
