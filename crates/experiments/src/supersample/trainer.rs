//! What is trained, and one step of it.

use super::data::prefetched;
use super::{Batch, Data, Evaluation, Network, Row, Settings, evaluate, learning_rate, loss};
use crate::clock::{Clock, Phase};
use crate::limiter::{Limited, Limiter};
use crate::optimizer::Optimizer;
use crate::prefetch::Prefetch;
use crate::run::{Experiment, Sources};
use anyhow::Result;
use candle_core::{Device, Tensor};
use datasets::Stream;
use std::collections::HashMap;

/// The network of a run, its optimiser, and what limits its losses.
pub struct Trainer<'a> {
    settings: &'a Settings,
    data: &'a Data,
    device: Device,
    network: Network,
    optimizer: Optimizer,
    limiter: Limiter,
}

impl<'a> Trainer<'a> {
    /// As the settings say, before its first step.
    ///
    /// # Errors
    /// The settings are not valid, or the device has no memory for the network.
    pub fn new(settings: &'a Settings, data: &'a Data) -> Result<Self> {
        let device = settings.device.open()?;
        let network = Network::new(settings.width, settings.seed, &device)?;
        Ok(Self {
            settings,
            data,
            optimizer: Optimizer::new(settings.optimizer, network.parameters())?,
            limiter: Limiter::new(
                settings.alrc,
                settings.start_moments,
                settings.published_moments,
            )?,
            network,
            device,
        })
    }

    /// Forward, bounds from the old moments, backward, weights, moments.
    fn train_on(&mut self, batch: Batch, step: u64, clock: &mut Clock) -> Result<Row> {
        let Settings { learning_rate: rate, batch: size, squash, loss: kind, .. } = *self.settings;
        let learning_rate = learning_rate(rate, size, step - 1);
        let (input, target) = batch.tensors(&self.device)?;
        clock.end(Phase::Data);
        let output = self.network.forward(&input)?;
        let raw = loss::raw_losses(kind, &output, &target)?;
        let unclipped = if squash { loss::square_root_of_large(&raw)? } else { raw.clone() };
        clock.end(Phase::Forward);
        let limited = self.limiter.forward(&unclipped)?;
        let mut row = Row {
            step,
            raw: mean(&raw)?,
            unclipped: mean(&unclipped)?,
            clipped: None,
            upper: None,
            mean: None,
            std: None,
            clipped_count: None,
            skipped: 0,
            learning_rate,
        };
        let Limited::Train(losses, record) = limited else {
            row.skipped = 1;
            return Ok(row);
        };
        if let Some(record) = record {
            row.clipped = Some(record.clipped);
            row.upper = record.upper;
            row.mean = record.mean;
            row.std = record.std;
            row.clipped_count = Some(record.count);
        }
        clock.end(Phase::Limiter);
        let gradients = losses.mean_all()?.backward()?;
        clock.end(Phase::Backward);
        self.optimizer.step(&gradients, learning_rate)?;
        drop((gradients, losses, output, raw, unclipped)); // freeing memory is work, too
        clock.end(Phase::Optimizer);
        Ok(row)
    }
}

impl Experiment for Trainer<'_> {
    const PROGRAM: &'static str = "supersample";
    const EVALUATION: &'static [&'static str] = &["test_raw", "psnr"];
    type Settings = Settings;
    type Record = Row;
    type Batch = Batch;

    fn settings(&self) -> &Settings {
        self.settings
    }

    fn sources(&self) -> Sources {
        let text = |pictures: &datasets::Pictures| pictures.source().to_owned();
        Sources { train: text(&self.data.train), test: text(&self.data.test) }
    }

    fn batch_size(&self) -> u64 {
        self.settings.batch as u64
    }

    fn batches(&self, drawn: u64) -> Result<Prefetch<Batch>> {
        let mut stream = Stream::new(self.data.train.clone(), self.settings.seed)
            .with_corrupted(self.settings.corrupted.unwrap_or(0.0));
        stream.seek(drawn);
        prefetched(stream, self.settings.batch)
    }

    fn step(&mut self, batch: Batch, step: u64, clock: &mut Clock) -> Result<Row> {
        self.train_on(batch, step, clock)
    }

    fn evaluate(&self) -> Result<Vec<f64>> {
        let Evaluation { mean_loss, psnr, .. } =
            evaluate(&self.network, self.settings.loss, &self.data.test, &self.device)?;
        Ok(vec![mean_loss, psnr])
    }

    fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors = self.network.parameters().tensors("weights")?;
        tensors.extend(self.optimizer.state()?);
        tensors.extend(self.limiter.state()?);
        Ok(tensors)
    }

    fn load_state(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        self.network.parameters().load("weights", tensors)?;
        self.optimizer.load_state(tensors)?;
        self.limiter.load_state(tensors)
    }
}

fn mean(losses: &Tensor) -> Result<f32> {
    let losses = losses.to_vec1::<f32>()?;
    let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
    Ok((sum / losses.len() as f64) as f32)
}
