//! What is trained, and one step of it.

use super::data::{Batch, Data, prefetched};
use super::evaluate::evaluate;
use super::{Generator, Row, Settings, learning_rate, raw_loss};
use crate::clock::{Clock, Phase};
use crate::limiter::{Limited, Limiter};
use crate::optimizer::{Optimizer, OptimizerKind};
use crate::prefetch::Prefetch;
use crate::run::{Experiment, Sources};
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use std::collections::HashMap;

/// The generator of a run, its optimiser, and what limits its two losses.
pub struct Trainer<'a> {
    settings: &'a Settings,
    data: &'a Data,
    device: Device,
    generator: Generator,
    optimizer: Optimizer,
    outer: Limiter,
    inner: Limiter,
}

impl<'a> Trainer<'a> {
    /// As the settings say, before its first step.
    ///
    /// # Errors
    /// The settings are not valid, or the device has no memory for the generator.
    pub fn new(settings: &'a Settings, data: &'a Data) -> Result<Self> {
        let device = settings.device.open()?;
        let generator = Generator::new(settings.divisor, settings.seed, &device)?;
        let limiter = || Limiter::new(settings.alrc, settings.start_moments, false);
        Ok(Self {
            settings,
            data,
            optimizer: Optimizer::new(OptimizerKind::Adam, generator.parameters())?,
            outer: limiter()?,
            inner: limiter()?,
            generator,
            device,
        })
    }
}

fn scalar(loss: &Tensor) -> Result<f32> {
    loss.to_vec1::<f32>()?.first().copied().context("a loss")
}

impl Experiment for Trainer<'_> {
    const PROGRAM: &'static str = "partial-stem";
    const EVALUATION: &'static [&'static str] = &[
        "outer_mean",
        "outer_std",
        "inner_mean",
        "inner_std",
        "rms_blurred_percent",
        "rms_percent",
    ];
    type Settings = Settings;
    type Record = Row;
    type Batch = Batch;

    fn settings(&self) -> &Settings {
        self.settings
    }

    fn sources(&self) -> Sources {
        Sources {
            train: self.data.train.source().to_owned(),
            test: self.data.test.crops.source().to_owned(),
        }
    }

    fn batch_size(&self) -> u64 {
        1
    }

    fn batches(&self, drawn: u64) -> Result<Prefetch<Batch>> {
        prefetched(self.settings, self.data, drawn)
    }

    /// Forward, both bounds from the old moments, backward on the sum, weights, both moments.
    fn step(&mut self, batch: Batch, step: u64, clock: &mut Clock) -> Result<Row> {
        let learning_rate =
            learning_rate(self.settings.learning_rate, step - 1, self.settings.steps);
        let replaced_pixels = batch.replaced as u64;
        let [full, half, outer_target, inner_target] = batch.tensors(&self.device)?;
        clock.end(Phase::Data);
        if step == 1 && self.settings.data_dependent_start {
            self.generator.start_from(&full, &half)?;
        }
        let outputs = self.generator.forward(&full, &half, true)?;
        let inner_output = outputs.inner.context("the inner output, while training")?;
        let outer_loss = raw_loss(&outputs.outer, &outer_target)?;
        let inner_loss = raw_loss(&inner_output, &inner_target)?;
        let (outer_raw, inner_raw) = (scalar(&outer_loss)?, scalar(&inner_loss)?);
        clock.end(Phase::Forward);
        let mut row =
            Row { step, outer_raw, inner_raw, replaced_pixels, learning_rate, ..Row::default() };
        if !(outer_raw.is_finite() && inner_raw.is_finite()) {
            // Neither loss's moments may learn from a step that is not taken.
            row.skipped = 1;
            return Ok(row);
        }
        let (outer, inner) = (self.outer.forward(&outer_loss)?, self.inner.forward(&inner_loss)?);
        let (Limited::Train(outer, outer_record), Limited::Train(inner, inner_record)) =
            (outer, inner)
        else {
            row.skipped = 1;
            return Ok(row);
        };
        row.note_outer(outer_record);
        row.note_inner(inner_record);
        clock.end(Phase::Limiter);
        let gradients = (outer + inner)?.backward()?;
        clock.end(Phase::Backward);
        self.optimizer.step(&gradients, learning_rate)?;
        // Freeing memory is work, too.
        drop((gradients, outputs.features, outputs.outer, inner_output, outer_loss, inner_loss));
        clock.end(Phase::Optimizer);
        Ok(row)
    }

    fn evaluate(&self) -> Result<Vec<f64>> {
        let found = evaluate(&self.generator, self.settings, &self.data.test, &self.device)?;
        let [outer, inner] = [found.outer, found.inner];
        Ok(vec![outer.0, outer.1, inner.0, inner.1, found.rms_blurred, found.rms])
    }

    fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors = self.generator.parameters().tensors("weights")?;
        tensors.extend(self.optimizer.state()?);
        for (name, limiter) in [("outer", &self.outer), ("inner", &self.inner)] {
            let state = limiter.state()?.into_iter();
            tensors.extend(state.map(|(key, tensor)| (format!("{name}.{key}"), tensor)));
        }
        Ok(tensors)
    }

    fn load_state(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        self.generator.parameters().load("weights", tensors)?;
        self.optimizer.load_state(tensors)?;
        for (name, limiter) in [("outer", &mut self.outer), ("inner", &mut self.inner)] {
            let prefix = format!("{name}.");
            let own = tensors.iter().filter_map(|(key, tensor)| {
                Some((key.strip_prefix(&prefix)?.to_owned(), tensor.clone()))
            });
            limiter.load_state(&own.collect()).with_context(|| format!("{name} loss"))?;
        }
        Ok(())
    }
}
