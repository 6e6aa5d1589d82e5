//! The settings of a run: what `config.toml` holds.

use super::Coverage;
use crate::device::DeviceName;
use crate::limiter::{StartMoments, Threshold};
use crate::run::RunSettings;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything that decides a run's result, and how often it is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Pixels along each side of a crop; a multiple of 32.
    pub side: usize,
    /// The published numbers of channels are divided by this divisor of 32.
    pub divisor: usize,
    /// The part of the pixels that the spiral visits.
    pub coverage: Coverage,
    /// Whether scans have detector noise.
    pub noise: bool,
    /// The learning rate of the first half of the steps.
    pub learning_rate: f64,
    /// The clipping threshold in standard deviations, or `none`; for both losses.
    pub alrc: Threshold,
    /// Where the moments of both losses start.
    pub start_moments: StartMoments,
    /// Whether gains and biases start from the first crop.
    pub data_dependent_start: bool,
    /// Steps in all.
    pub steps: u64,
    /// Seed of start weights, order of crops, augmentation and noise.
    pub seed: u64,
    /// Folder or file of micrographs; lattices made on the spot without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Leave out pictures that are smaller than a crop.
    pub skip_small: bool,
    /// Use only so many crops of each split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<usize>,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between evaluations on the test crops; 0 for none.
    pub eval_every: u64,
    /// Whether TensorBoard event files are written, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tensorboard: bool,
    /// Where tensors live.
    pub device: DeviceName,
}

/// The paper's.
impl Default for Settings {
    fn default() -> Self {
        Self {
            side: 512,
            divisor: 1,
            coverage: Coverage::default(),
            noise: true,
            learning_rate: 3e-4,
            alrc: Threshold(Some(3.0)),
            start_moments: StartMoments::default(),
            data_dependent_start: false,
            steps: 500_000,
            seed: 1,
            data: None,
            skip_small: false,
            pictures: None,
            checkpoint_every: 1_000,
            eval_every: 0,
            tensorboard: false,
            device: DeviceName::Cpu,
        }
    }
}

impl RunSettings for Settings {
    fn check(&self) -> Result<()> {
        let rate = self.learning_rate;
        ensure!(0.0 < rate && rate <= 1e6, "learning rate {rate}: expected above 0, at most 1e6");
        let side = self.side;
        ensure!(
            (32..=1 << 14).contains(&side) && side.is_multiple_of(32),
            "side {side}: expected a multiple of 32, at most 16384"
        );
        let divisor = self.divisor;
        ensure!(
            [1, 2, 4, 8, 16, 32].contains(&divisor),
            "divisor {divisor}: expected 1, 2, 4, 8, 16 or 32"
        );
        for (name, value, most) in [
            ("steps", self.steps, 1 << 40),
            ("checkpoint_every", self.checkpoint_every, 1 << 40),
            ("pictures", self.pictures.unwrap_or(1) as u64, u64::from(u32::MAX)),
        ] {
            ensure!((1..=most).contains(&value), "{name} {value}: expected 1 to {most}");
        }
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn checkpoint_every(&self) -> u64 {
        self.checkpoint_every
    }

    fn eval_every(&self) -> u64 {
        self.eval_every
    }

    fn tensorboard(&self) -> bool {
        self.tensorboard
    }

    fn advice(&self) -> String {
        let alrc = if self.alrc.0.is_none() { ", or ALRC (--alrc 3)" } else { "" };
        format!("try a lower learning rate{alrc}")
    }

    fn essence(&self) -> Self {
        let Self { checkpoint_every, eval_every, tensorboard, device, .. } = Self::default();
        Self { checkpoint_every, eval_every, tensorboard, device, ..self.clone() }
    }

    /// The number of steps is part of it: the learning rate depends on it.
    fn fixed_part(&self) -> Self {
        self.essence()
    }
}
