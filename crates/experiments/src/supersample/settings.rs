//! The settings of a run: what `config.toml` holds.

use super::LossKind;
use crate::device::DeviceName;
use crate::limiter::{StartMoments, Threshold};
use crate::optimizer::OptimizerKind;
use crate::run::RunSettings;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything that decides a run's result, and how often it is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The loss.
    pub loss: LossKind,
    /// The optimiser.
    pub optimizer: OptimizerKind,
    /// Its learning rate at the start.
    pub learning_rate: f64,
    /// Pictures a step.
    pub batch: usize,
    /// The clipping threshold in standard deviations, or `none`.
    pub alrc: Threshold,
    /// Where the moments start.
    pub start_moments: StartMoments,
    /// Whether to average as the published scripts do.
    pub published_moments: bool,
    /// Whether losses of 50 and more are replaced by their square root.
    pub squash: bool,
    /// Steps in all.
    pub steps: u64,
    /// Width of the network.
    pub width: usize,
    /// Seed of the start weights, the order of pictures and their augmentation.
    pub seed: u64,
    /// Folder of CIFAR-10; pictures made on the spot without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Use only so many pictures of each split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<usize>,
    /// The part of the training pictures that is corrupted by noise of 50 standard deviations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupted: Option<f64>,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between evaluations on the test pictures; 0 for none.
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
            loss: LossKind::Squared,
            optimizer: OptimizerKind::Adam,
            learning_rate: 0.1 / 128.0,
            batch: 1,
            alrc: Threshold(Some(3.0)),
            start_moments: StartMoments::default(),
            published_moments: false,
            squash: true,
            steps: 100_000,
            width: 64,
            seed: 1,
            data: None,
            pictures: None,
            corrupted: None,
            checkpoint_every: 1_000,
            eval_every: 0,
            tensorboard: false,
            device: DeviceName::Cpu,
        }
    }
}

impl Settings {
    /// A name for a folder, made of what the run is: two runs of one name differ at most in where
    /// their pictures lie, and in how often they are saved and evaluated.
    pub fn name(&self) -> String {
        let paper = Self::default();
        let alrc = self.alrc.0.map_or("none".into(), |n| format!("n{n}"));
        let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
        let mut parts = vec![
            word(&self.loss),
            word(&self.optimizer),
            format!("lr{:e}", self.learning_rate),
            format!("b{}", self.batch),
            alrc,
        ];
        let start = format!("start{}", self.start_moments).replace(',', "_");
        let pictures = self.pictures.map_or(String::new(), |count| format!("pictures{count}"));
        let corrupted = self.corrupted.map_or(String::new(), |part| format!("corrupted{part}"));
        let others = [
            (self.start_moments != paper.start_moments, start),
            (self.published_moments, "published".into()),
            (!self.squash, "nosquash".into()),
            (self.width != paper.width, format!("width{}", self.width)),
            (self.steps != paper.steps, format!("steps{}", self.steps)),
            (self.pictures.is_some(), pictures),
            (self.corrupted.is_some(), corrupted),
        ];
        parts.extend(others.into_iter().filter(|(differs, _)| *differs).map(|(_, part)| part));
        parts.push(format!("seed{}", self.seed));
        parts.join("-")
    }
}

impl RunSettings for Settings {
    fn check(&self) -> Result<()> {
        let rate = self.learning_rate;
        ensure!(0.0 < rate && rate <= 1e6, "learning rate {rate}: expected above 0, at most 1e6");
        for (name, value, most) in [
            ("batch", self.batch as u64, 100_000),
            ("width", self.width as u64, 4_096),
            ("steps", self.steps, 1 << 40),
            ("checkpoint_every", self.checkpoint_every, 1 << 40),
            ("pictures", self.pictures.unwrap_or(1) as u64, u64::from(u32::MAX)),
        ] {
            ensure!((1..=most).contains(&value), "{name} {value}: expected 1 to {most}");
        }
        let part = self.corrupted.unwrap_or(0.0);
        ensure!(0.0 <= part && part <= 1.0, "corrupted {part}: expected 0 to 1");
        ensure!(
            !(self.published_moments && self.alrc.0.is_none()),
            "published_moments has no effect with alrc = none: leave one of them out"
        );
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
        let alrc = if self.alrc.0.is_none() { ", or ALRC (--alrc 2)" } else { "" };
        format!("try a lower learning rate{alrc}")
    }

    fn essence(&self) -> Self {
        let Self { checkpoint_every, eval_every, tensorboard, device, .. } = Self::default();
        Self { checkpoint_every, eval_every, tensorboard, device, ..self.clone() }
    }

    fn fixed_part(&self) -> Self {
        Self { steps: 0, ..self.essence() }
    }
}
