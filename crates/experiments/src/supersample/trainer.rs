//! One training step.

use super::{Network, Settings, loss};
use crate::clock::{Clock, Phase};
use crate::limiter::{Limited, Limiter};
use crate::metrics::Row;
use crate::optimizer::Optimizer;
use anyhow::Result;
use candle_core::{Device, Tensor};

/// What a step changes: weights, the optimiser's averages, the limiter's moments.
pub struct Trainer {
    /// The network.
    pub network: Network,
    /// Its optimiser.
    pub optimizer: Optimizer,
    /// Clips its losses, or not.
    pub limiter: Limiter,
    loss: loss::LossKind,
    squash: bool,
}

impl Trainer {
    /// As the settings say, at its first step.
    ///
    /// # Errors
    /// The settings are not valid, or the device has no memory for the network.
    pub fn new(settings: &Settings, device: &Device) -> Result<Self> {
        let network = Network::new(settings.width, settings.seed, device)?;
        let Settings { alrc, start_moments, published_moments, loss, squash, .. } = *settings;
        Ok(Self {
            optimizer: Optimizer::new(settings.optimizer, network.parameters())?,
            limiter: Limiter::new(alrc, start_moments, published_moments)?,
            network,
            loss,
            squash,
        })
    }

    /// Step number `step`: forward, bounds from the old moments, backward, weights, moments. Weights
    /// and moments stay as they are if a loss is not finite: then the record says `skipped`.
    ///
    /// # Errors
    /// The shapes of pictures `[batch, 3, 32, 32]` differ, or an operation fails.
    pub fn step(
        &mut self,
        input: &Tensor,
        target: &Tensor,
        step: u64,
        learning_rate: f64,
        clock: &mut Clock,
    ) -> Result<Row> {
        let output = self.network.forward(input)?;
        let raw = loss::raw_losses(self.loss, &output, target)?;
        let unclipped = if self.squash { loss::square_root_of_large(&raw)? } else { raw.clone() };
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
            row.clipped = Some(record.clipped as f32);
            row.upper = record.upper.is_finite().then_some(record.upper);
            row.mean = record.moments.map(|(mean, _)| mean);
            row.std = record.moments.map(|(_, std)| std);
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

fn mean(losses: &Tensor) -> Result<f32> {
    let losses = losses.to_vec1::<f32>()?;
    let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
    Ok((sum / losses.len() as f64) as f32)
}
