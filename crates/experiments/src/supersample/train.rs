//! Training: the loop, its records, its checkpoints.

use super::data::{Batch, Data, prefetched};
use super::run_folder::{Files, RunConfig};
use super::{Evaluation, Settings, Trainer, evaluate, learning_rate};
use crate::checkpoint::{Checkpoint, Progress};
use crate::clock::Clock;
use crate::files::write_whole;
use crate::metrics::{MetricsWriter, Row};
use crate::progress::{self, RunProgress};
use crate::summary::{Outcome, Summary};
use anyhow::{Context, Result, bail};
use candle_core::Device;
use datasets::Stream;
use std::path::Path;
use std::time::Instant;

/// A run ends as diverged after so many steps in a row with losses that are not finite.
const MOST_SKIPS: u64 = 100;

/// Whether a run begins or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In a folder without a run.
    New,
    /// From the folder's checkpoint.
    Resume,
}

/// Trains until all steps are done, the run diverges, or the user stops it; each ends with a
/// checkpoint and a summary. Call it inside the thread pool that is to do the work.
///
/// # Errors
/// Settings that are not valid, a folder that holds a run already or none to resume, settings that
/// differ from those of the run to resume, files that cannot be read or written. Divergence is an
/// outcome, not an error.
pub fn train(
    settings: &Settings,
    data: &Data,
    folder: &Path,
    start: Start,
    progress: &mut RunProgress,
) -> Result<Summary> {
    settings.check()?;
    let files = Files::new(folder);
    let config = RunConfig::new(settings, data);
    let mut run = Run::new(settings, &files)?;
    let mut keep = 0;
    match start {
        Start::New => files.begin(&config)?,
        Start::Resume => {
            let changed = files.check_resume(&config)?;
            if let Some(checkpoint) = files.read_checkpoint()? {
                let named = || files.checkpoint().display().to_string();
                run.restore(&checkpoint).with_context(named)?;
                keep = checkpoint.progress.metrics_bytes;
            }
            run.seconds_before = files.seconds()?;
            if changed {
                files.write_config(&config)?;
            }
        }
    }
    let mut metrics = MetricsWriter::open(&files.metrics(), keep)?;
    progress.start_at(run.step);
    let outcome = run.go(data, &mut metrics, progress)?;
    let summary = run.save(&mut metrics, outcome)?;
    progress.finish(&summary.message);
    Ok(summary)
}

struct Run<'a> {
    settings: &'a Settings,
    files: &'a Files,
    device: Device,
    trainer: Trainer,
    step: u64,
    /// Pictures drawn.
    drawn: u64,
    skipped_in_a_row: u64,
    seconds_before: f64,
    started: Instant,
}

impl<'a> Run<'a> {
    fn new(settings: &'a Settings, files: &'a Files) -> Result<Self> {
        let device = settings.device.open()?;
        Ok(Self {
            settings,
            files,
            trainer: Trainer::new(settings, &device)?,
            device,
            step: 0,
            drawn: 0,
            skipped_in_a_row: 0,
            seconds_before: 0.0,
            started: Instant::now(),
        })
    }

    /// Goes to where a checkpoint was written.
    fn restore(&mut self, checkpoint: &Checkpoint<Settings>) -> Result<()> {
        self.trainer.network.parameters().load("weights", &checkpoint.tensors)?;
        self.trainer.optimizer.load_state(&checkpoint.tensors)?;
        self.trainer.limiter.load_state(&checkpoint.tensors)?;
        self.drawn = checkpoint.progress.drawn;
        self.step = checkpoint.progress.step;
        self.skipped_in_a_row = checkpoint.progress.skipped_in_a_row;
        Ok(())
    }

    fn go(
        &mut self,
        data: &Data,
        metrics: &mut MetricsWriter,
        progress: &mut RunProgress,
    ) -> Result<Outcome> {
        self.started = Instant::now();
        let mut stream = Stream::new(data.train.clone(), self.settings.seed);
        stream.seek(self.drawn);
        let mut batches = prefetched(stream, self.settings.batch)?;
        loop {
            if self.skipped_in_a_row >= MOST_SKIPS {
                return Ok(Outcome::Diverged);
            }
            if self.step >= self.settings.steps {
                return Ok(Outcome::Finished);
            }
            if progress::stopped() {
                return Ok(Outcome::Interrupted);
            }
            let row = self.train_step(batches.next()?)?;
            metrics.write(row)?;
            progress.step(&row);
            let due = |every: u64| every > 0 && self.step.is_multiple_of(every);
            if due(self.settings.eval_every) {
                self.evaluate(data)?;
            }
            if due(self.settings.checkpoint_every) {
                self.save(metrics, Outcome::Running)?;
            }
        }
    }

    fn train_step(&mut self, batch: Batch) -> Result<Row> {
        let Settings { learning_rate: rate, batch: size, .. } = *self.settings;
        let rate = learning_rate(rate, size, self.step);
        let (input, target) = batch.tensors(&self.device)?;
        self.step += 1;
        let row = self.trainer.step(&input, &target, self.step, rate, &mut Clock::default())?;
        self.drawn += size as u64;
        self.skipped_in_a_row = if row.skipped == 0 { 0 } else { self.skipped_in_a_row + 1 };
        Ok(row)
    }

    fn evaluate(&self, data: &Data) -> Result<()> {
        let Evaluation { mean_loss, psnr, .. } =
            evaluate(&self.trainer.network, self.settings.loss, &data.test, &self.device)?;
        let path = self.files.evaluations();
        let header = "step,test_raw,psnr\n";
        let mut text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => header.to_owned(),
            Err(error) => bail!("{}: {error}", path.display()),
        };
        // Lines from after the checkpoint that the run went on from are written again.
        let old = |line: &&str| {
            let step = line.split(',').next().and_then(|step| step.parse::<u64>().ok());
            step.is_none_or(|step| step < self.step)
        };
        text = text.lines().filter(old).map(|line| format!("{line}\n")).collect();
        text.push_str(&format!("{},{mean_loss},{psnr}\n", self.step));
        write_whole(&path, text.as_bytes())
    }

    /// Writes metrics, checkpoint and summary, in this order.
    fn save(&self, metrics: &mut MetricsWriter, outcome: Outcome) -> Result<Summary> {
        let metrics_bytes = metrics.flush()?;
        let mut tensors = self.trainer.network.parameters().tensors("weights")?;
        tensors.extend(self.trainer.optimizer.state()?);
        tensors.extend(self.trainer.limiter.state()?);
        let progress = Progress {
            step: self.step,
            drawn: self.drawn,
            skipped_in_a_row: self.skipped_in_a_row,
            metrics_bytes,
        };
        // How often a run is saved, and where it is computed, is no part of what it is.
        let defaults = Settings::default();
        let settings = Settings {
            checkpoint_every: defaults.checkpoint_every,
            eval_every: defaults.eval_every,
            device: defaults.device,
            ..self.settings.clone()
        };
        Checkpoint { settings, progress, tensors }.write(&self.files.checkpoint())?;
        let rows = metrics.rows();
        let seconds = self.seconds_before + self.started.elapsed().as_secs_f64();
        let message = self.message(outcome, rows);
        let summary = Summary::new(rows, self.settings.steps, outcome, seconds, message);
        summary.write(&self.files.summary())?;
        Ok(summary)
    }

    fn message(&self, outcome: Outcome, rows: &[Row]) -> String {
        let folder = self.files.folder.display();
        match outcome {
            Outcome::Running => format!("at step {}; if it was killed, resume it", self.step),
            Outcome::Interrupted => format!(
                "stopped at step {}; go on with: supersample train --resume --out {folder}",
                self.step
            ),
            Outcome::Finished => format!("finished {} steps", self.step),
            Outcome::Diverged => {
                let first = self.step.saturating_sub(self.skipped_in_a_row) + 1;
                let last = rows.iter().rev().find(|row| row.skipped == 0);
                let before = last.map_or("no step before it was trained".to_owned(), |row| {
                    format!("the last finite loss was {}", row.raw)
                });
                let now = rows.last().map_or(f32::NAN, |row| row.raw);
                format!(
                    "diverged at step {first}: losses became {now} and stayed so for {MOST_SKIPS} \
                     steps; {before}; try a lower learning rate{}",
                    if self.settings.alrc.0.is_none() { ", or ALRC (--alrc 2)" } else { "" }
                )
            }
        }
    }
}
