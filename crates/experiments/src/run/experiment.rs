//! What a run needs to know of an experiment.

use crate::clock::Clock;
use crate::metrics::Record;
use crate::prefetch::Prefetch;
use anyhow::Result;
use candle_core::Tensor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// The settings of a run.
pub trait RunSettings: Clone + PartialEq + Serialize + DeserializeOwned {
    /// Checks the ranges that the types do not.
    ///
    /// # Errors
    /// The message names the setting, its value and the range.
    fn check(&self) -> Result<()>;

    /// Steps in all.
    fn steps(&self) -> u64;

    /// Steps between checkpoints.
    fn checkpoint_every(&self) -> u64;

    /// Steps between evaluations; 0 for none.
    fn eval_every(&self) -> u64;

    /// Whether TensorBoard event files are written beside `metrics.csv`.
    fn tensorboard(&self) -> bool;

    /// What to try where a run diverges.
    fn advice(&self) -> String;

    /// These settings, with how often a run is saved and where it is computed at their defaults:
    /// that is no part of what it is.
    fn essence(&self) -> Self;

    /// As [`essence`](Self::essence), and without the number of steps: what must not change between
    /// the parts of a run.
    fn fixed_part(&self) -> Self;
}

/// Where pictures come from: texts for people.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Those to train on.
    pub train: String,
    /// Those to test on.
    pub test: String,
}

/// What is trained: everything that a run does besides keeping records.
pub trait Experiment {
    /// The program's name.
    const PROGRAM: &'static str;
    /// The columns of `evaluations.csv` after the step.
    const EVALUATION: &'static [&'static str];
    /// Its settings.
    type Settings: RunSettings;
    /// A row of `metrics.csv`.
    type Record: Record;
    /// What a step needs.
    type Batch: Send + 'static;

    /// The settings of this run.
    fn settings(&self) -> &Self::Settings;

    /// Where its pictures come from.
    fn sources(&self) -> Sources;

    /// Pictures a step.
    fn batch_size(&self) -> u64;

    /// The batches after `drawn` pictures, made ahead of time.
    ///
    /// # Errors
    /// The system gives no thread.
    fn batches(&self, drawn: u64) -> Result<Prefetch<Self::Batch>>;

    /// One step; steps count from 1.
    ///
    /// # Errors
    /// An operation fails. Losses that are not finite are no error: the record says `skipped`.
    fn step(&mut self, batch: Self::Batch, step: u64, clock: &mut Clock) -> Result<Self::Record>;

    /// Numbers for the columns of `evaluations.csv`.
    ///
    /// # Errors
    /// Pictures cannot be read, or an operation fails.
    fn evaluate(&self) -> Result<Vec<f64>>;

    /// Weights, optimiser, moments.
    ///
    /// # Errors
    /// They cannot be copied.
    fn state(&self) -> Result<HashMap<String, Tensor>>;

    /// Restores what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// A tensor is missing or does not fit: the message names it.
    fn load_state(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()>;
}
