//! Training: the loop, its records, its checkpoints.

use super::data::{Data, input_and_target};
use super::{Evaluation, Network, Settings, evaluate, learning_rate, loss};
use crate::checkpoint::{Checkpoint, Progress};
use crate::files::write_whole;
use crate::limiter::{Limited, Limiter};
use crate::metrics::{self, MetricsWriter, Row};
use crate::optimizer::Optimizer;
use crate::progress::{self, RunProgress};
use crate::summary::{Outcome, Summary};
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use datasets::Stream;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A run ends as diverged after so many steps in a row with losses that are not finite.
const MOST_SKIPS: u64 = 100;

/// The files of a run folder.
#[derive(Clone, Debug)]
pub struct Files {
    folder: PathBuf,
}

#[allow(missing_docs)]
impl Files {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }
    pub fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }
    pub fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.csv")
    }
    pub fn evaluations(&self) -> PathBuf {
        self.folder.join("evaluations.csv")
    }
    pub fn summary(&self) -> PathBuf {
        self.folder.join("summary.json")
    }
    pub fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint.safetensors")
    }
}

/// What `config.toml` holds: the settings, and where the numbers come from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunConfig {
    /// The program and its version.
    program: String,
    /// Where the training pictures came from.
    train_pictures: String,
    /// Where the test pictures came from.
    test_pictures: String,
    settings: Settings,
}

/// Whether a run begins or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In a folder without a run.
    New,
    /// From the folder's checkpoint.
    Resume,
}

/// Reads the settings of a run folder.
///
/// # Errors
/// There is none, or it cannot be understood: the message names the file and the place in it.
pub fn read_settings(folder: &Path) -> Result<Settings> {
    Ok(read_config(&Files::new(folder))?.settings)
}

fn read_config(files: &Files) -> Result<RunConfig> {
    let path = files.config();
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("{}: no run to resume here; leave --resume out to start one", path.display())
    })?;
    toml::from_str(&text)
        .with_context(|| format!("{}: has it been edited? Put it back as it was", path.display()))
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
    let mut run = Run::new(settings, data, &files)?;
    match start {
        Start::New => run.begin(data)?,
        Start::Resume => run.resume(data)?,
    }
    progress.start_at(run.step);
    let outcome = run.go(data, progress)?;
    let summary = run.save(outcome)?;
    progress.finish(&summary.message);
    Ok(summary)
}

struct Run<'a> {
    settings: &'a Settings,
    files: &'a Files,
    device: Device,
    network: Network,
    optimizer: Optimizer,
    limiter: Limiter,
    stream: Stream,
    metrics: Option<MetricsWriter>,
    step: u64,
    skipped_in_a_row: u64,
    seconds_before: f64,
    started: Instant,
}

impl<'a> Run<'a> {
    fn new(settings: &'a Settings, data: &Data, files: &'a Files) -> Result<Self> {
        let device = settings.device.open()?;
        let network = Network::new(settings.width, settings.seed, &device)?;
        Ok(Self {
            settings,
            files,
            optimizer: Optimizer::new(settings.optimizer, network.parameters())?,
            network,
            limiter: Limiter::new(
                settings.alrc,
                settings.start_moments,
                settings.published_moments,
            )?,
            stream: Stream::new(data.train.clone(), settings.seed),
            device,
            metrics: None,
            step: 0,
            skipped_in_a_row: 0,
            seconds_before: 0.0,
            started: Instant::now(),
        })
    }

    fn config(&self, data: &Data) -> RunConfig {
        RunConfig {
            program: format!("supersample {}", env!("CARGO_PKG_VERSION")),
            train_pictures: data.train.source().to_owned(),
            test_pictures: data.test.source().to_owned(),
            settings: self.settings.clone(),
        }
    }

    fn begin(&mut self, data: &Data) -> Result<()> {
        let folder = &self.files.folder;
        ensure!(
            !self.files.config().exists(),
            "{}: holds a run already; go on with it by --resume, or give another folder with --out",
            folder.display()
        );
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{}: cannot be made", folder.display()))?;
        for stray in [self.files.metrics(), self.files.checkpoint(), self.files.summary()] {
            ensure!(
                !stray.exists(),
                "{}: is in the way of a new run, without a config.toml beside it; move it, or give \
                 another folder with --out",
                stray.display()
            );
        }
        write_whole(&self.files.config(), toml::to_string(&self.config(data))?.as_bytes())?;
        self.metrics = Some(MetricsWriter::open(&self.files.metrics(), 0)?);
        Ok(())
    }

    fn resume(&mut self, data: &Data) -> Result<()> {
        let saved = read_config(self.files)?;
        let mut differences = saved.settings.differences(self.settings)?;
        if saved.train_pictures != data.train.source() {
            differences.push(format!(
                "it was trained on {}, not {}",
                saved.train_pictures,
                data.train.source()
            ));
        }
        ensure!(
            differences.is_empty(),
            "{}: the run there has other settings: {}; leave these flags out, or start another run",
            self.files.folder.display(),
            differences.join("; ")
        );
        let mut keep = 0;
        if self.files.checkpoint().exists() {
            let path = self.files.checkpoint();
            let checkpoint = Checkpoint::<Settings>::read(&path)?;
            let restore = || -> Result<()> {
                self.network.parameters().load("weights", &checkpoint.tensors)?;
                self.optimizer.load_state(&checkpoint.tensors)?;
                self.limiter.load_state(&checkpoint.tensors)
            };
            let mut restore = restore;
            restore().with_context(|| path.display().to_string())?;
            let progress = checkpoint.progress;
            self.stream.seek(progress.drawn);
            self.step = progress.step;
            self.skipped_in_a_row = progress.skipped_in_a_row;
            keep = progress.metrics_bytes;
        }
        if self.files.summary().exists() {
            self.seconds_before = Summary::read(&self.files.summary())?.seconds;
        }
        if saved.settings != *self.settings {
            write_whole(&self.files.config(), toml::to_string(&self.config(data))?.as_bytes())?;
        }
        self.metrics = Some(MetricsWriter::open(&self.files.metrics(), keep)?);
        Ok(())
    }

    fn go(&mut self, data: &Data, progress: &mut RunProgress) -> Result<Outcome> {
        self.started = Instant::now();
        while self.step < self.settings.steps {
            if self.skipped_in_a_row >= MOST_SKIPS {
                return Ok(Outcome::Diverged);
            }
            if progress::stopped() {
                return Ok(Outcome::Interrupted);
            }
            let row = self.train_step()?;
            self.metrics.as_mut().context("the metrics file is open")?.write(&row)?;
            progress.step(&row);
            let due = |every: u64| every > 0 && self.step.is_multiple_of(every);
            if due(self.settings.eval_every) {
                self.evaluate(data)?;
            }
            if due(self.settings.checkpoint_every) {
                self.save(Outcome::Running)?;
            }
        }
        let diverged = self.skipped_in_a_row >= MOST_SKIPS;
        Ok(if diverged { Outcome::Diverged } else { Outcome::Finished })
    }

    /// Forward, bounds from the old moments, backward, weights, moments.
    fn train_step(&mut self) -> Result<Row> {
        let settings = self.settings;
        let rate = learning_rate(settings.learning_rate, settings.batch, self.step);
        let pictures = self.stream.next_batch(settings.batch);
        let (input, target) = input_and_target(pictures, &self.device)?;
        let output = self.network.forward(&input)?;
        let raw = loss::raw_losses(settings.loss, &output, &target)?;
        let unclipped =
            if settings.squash { loss::square_root_of_large(&raw)? } else { raw.clone() };
        let limited = self.limiter.forward(&unclipped)?;
        self.step += 1;
        let mut row = Row {
            step: self.step,
            raw: mean(&raw)?,
            unclipped: mean(&unclipped)?,
            clipped: None,
            upper: None,
            mean: None,
            std: None,
            clipped_count: None,
            skipped: 0,
            learning_rate: rate,
        };
        match limited {
            Limited::Train(losses, record) => {
                self.optimizer.step(&losses.mean_all()?.backward()?, rate)?;
                self.skipped_in_a_row = 0;
                if let Some(record) = record {
                    row.clipped = Some(record.clipped as f32);
                    row.upper = record.upper.is_finite().then_some(record.upper);
                    row.mean = record.moments.map(|(mean, _)| mean);
                    row.std = record.moments.map(|(_, std)| std);
                    row.clipped_count = Some(record.count);
                }
            }
            Limited::Skip(_) => {
                self.skipped_in_a_row += 1;
                row.skipped = 1;
            }
        }
        Ok(row)
    }

    fn evaluate(&self, data: &Data) -> Result<()> {
        let Evaluation { mean_loss, psnr, .. } =
            evaluate(&self.network, self.settings.loss, &data.test, &self.device)?;
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
    fn save(&mut self, outcome: Outcome) -> Result<Summary> {
        let metrics_bytes = self.metrics.as_mut().context("the metrics file is open")?.flush()?;
        let mut tensors = self.network.parameters().tensors("weights")?;
        tensors.extend(self.optimizer.state()?);
        tensors.extend(self.limiter.state()?);
        let progress = Progress {
            step: self.step,
            drawn: self.stream.drawn(),
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
        let rows = metrics::read(&self.files.metrics())?;
        let seconds = self.seconds_before + self.started.elapsed().as_secs_f64();
        let message = self.message(outcome, &rows);
        let summary = Summary::new(&rows, self.settings.steps, outcome, seconds, message);
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
                let good = rows.iter().rev().take_while(|row| row.skipped == 1).count();
                let first = self.step.saturating_sub(good as u64) + 1;
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

fn mean(losses: &Tensor) -> Result<f32> {
    let losses = losses.to_vec1::<f32>()?;
    let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
    Ok((sum / losses.len() as f64) as f32)
}
