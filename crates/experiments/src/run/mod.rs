//! Training runs: the loop, its records, its checkpoints. The same for all experiments.

mod experiment;
mod folder;
mod many;

pub use experiment::{Experiment, RunSettings, Sources};
pub use folder::{Files, RunConfig, read_config, read_settings};
pub use many::{next_folder, train_all};

use crate::checkpoint::{Checkpoint, Progress};
use crate::clock::Clock;
use crate::curve;
use crate::device::thread_pool;
use crate::files::write_whole;
use crate::metrics::{self, MetricsWriter, Record};
use crate::progress::{self, RunProgress};
use crate::summary::{Outcome, Summary};
use crate::tensorboard::EventWriter;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::ExitCode;
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
    /// Whichever it is; for sweeps, which share folders.
    NewOrResume,
}

/// Trains until all steps are done, the run diverges, or the user stops it; each ends with a
/// checkpoint and a summary. Call it inside the thread pool that is to do the work.
///
/// # Errors
/// Settings that are not valid, a folder that holds a run already or none to resume, settings that
/// differ from those of the run to resume, files that cannot be read or written. Divergence is an
/// outcome, not an error.
pub fn train<E: Experiment>(
    experiment: E,
    folder: &Path,
    start: Start,
    progress: &mut RunProgress,
) -> Result<Summary> {
    experiment.settings().check()?;
    let files = Files::new(folder);
    let config = RunConfig::new(&experiment);
    let mut run = Run::new(experiment, &files);
    let mut keep = 0;
    if start == Start::Resume {
        files.check_exists()?;
    } else {
        files.make_folder()?;
    }
    // From here on nobody else trains this run.
    let locked = metrics::lock(&files.metrics())?;
    files.clear_temporary();
    if start == Start::New || !files.config().exists() {
        files.begin(&config)?;
    } else {
        let changed = files.check_resume(&config)?;
        let checkpoint = files.read_checkpoint()?;
        files.check_progress(checkpoint.as_ref(), run.experiment.settings().steps())?;
        if let Some(checkpoint) = checkpoint {
            let named = || files.checkpoint().display().to_string();
            run.restore(&checkpoint).with_context(named)?;
            keep = checkpoint.progress.metrics_bytes;
        }
        run.seconds_before = files.seconds()?;
        if changed {
            files.write_config(&config)?;
        }
    }
    let mut metrics = MetricsWriter::<E::Record>::new(locked, &files.metrics(), keep)?;
    if run.experiment.settings().tensorboard() {
        let mut events = EventWriter::create(&files.events())?;
        for row in metrics.rows() {
            events.write(row.step(), row)?;
        }
        run.events = Some(events);
    }
    progress.start_at(run.step);
    let outcome = match run.go(&mut metrics, progress) {
        Ok(outcome) => outcome,
        Err(error) => {
            // Nothing of what was done is lost; the first error is the one to tell.
            let _ = run.save(&mut metrics, Outcome::Interrupted);
            return Err(error);
        }
    };
    let summary = run.save(&mut metrics, outcome)?;
    progress.finish(&summary.message);
    Ok(summary)
}

/// Trains as a program's only work, on so many threads: shows progress, prints the summary, and gives
/// the program's exit code, 130 if the user stopped it.
///
/// # Errors
/// As [`train`]; or the system gives no threads.
pub fn train_alone<E: Experiment>(
    make: impl FnOnce() -> Result<E> + Send,
    folder: &Path,
    start: Start,
    threads: usize,
) -> Result<ExitCode> {
    let summary = thread_pool(threads)?.install(|| {
        let experiment = make()?;
        let steps = experiment.settings().steps();
        let mut progress = RunProgress::new(&Default::default(), folder, steps);
        train(experiment, folder, start, &mut progress)
    })?;
    println!("{summary}; records in {}", folder.display());
    Ok(match summary.outcome {
        Outcome::Interrupted => ExitCode::from(130),
        _ => ExitCode::SUCCESS,
    })
}

struct Run<'a, E> {
    experiment: E,
    files: &'a Files,
    step: u64,
    /// Pictures drawn.
    drawn: u64,
    skipped_in_a_row: u64,
    seconds_before: f64,
    started: Instant,
    events: Option<EventWriter>,
}

impl<'a, E: Experiment> Run<'a, E> {
    fn new(experiment: E, files: &'a Files) -> Self {
        Self {
            experiment,
            files,
            step: 0,
            drawn: 0,
            skipped_in_a_row: 0,
            seconds_before: 0.0,
            started: Instant::now(),
            events: None,
        }
    }

    /// Goes to where a checkpoint was written.
    fn restore(&mut self, checkpoint: &Checkpoint<E::Settings>) -> Result<()> {
        self.experiment.load_state(&checkpoint.tensors)?;
        self.drawn = checkpoint.progress.drawn;
        self.step = checkpoint.progress.step;
        self.skipped_in_a_row = checkpoint.progress.skipped_in_a_row;
        Ok(())
    }

    fn go(
        &mut self,
        metrics: &mut MetricsWriter<E::Record>,
        progress: &mut RunProgress,
    ) -> Result<Outcome> {
        self.started = Instant::now();
        let mut batches = self.experiment.batches(self.drawn)?;
        loop {
            if self.skipped_in_a_row >= MOST_SKIPS {
                return Ok(Outcome::Diverged);
            }
            if self.step >= self.experiment.settings().steps() {
                return Ok(Outcome::Finished);
            }
            if progress::stopped() {
                return Ok(Outcome::Interrupted);
            }
            let batch = batches.wait()?;
            let step = self.step + 1;
            let record = self.experiment.step(batch, step, &mut Clock::default())?;
            self.step = step;
            self.drawn += self.experiment.batch_size();
            self.skipped_in_a_row = if record.skipped() { self.skipped_in_a_row + 1 } else { 0 };
            metrics.write(record)?;
            if let Some(events) = &mut self.events {
                events.write(step, &record)?;
            }
            progress.step(&record);
            let due = |every: u64| every > 0 && self.step.is_multiple_of(every);
            if due(self.experiment.settings().eval_every()) {
                self.evaluate()?;
            }
            if due(self.experiment.settings().checkpoint_every()) {
                self.save(metrics, Outcome::Running)?;
            }
        }
    }

    fn evaluate(&self) -> Result<()> {
        let numbers = self.experiment.evaluate()?;
        let path = self.files.evaluations();
        let header = format!("step,{}\n", E::EVALUATION.join(","));
        let mut text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => header,
            Err(error) => bail!("{}: {error}", path.display()),
        };
        // Lines from after the checkpoint that the run went on from are written again.
        let old = |line: &&str| {
            let step = line.split(',').next().and_then(|step| step.parse::<u64>().ok());
            step.is_none_or(|step| step < self.step)
        };
        text = text.lines().filter(old).map(|line| format!("{line}\n")).collect();
        let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
        text.push_str(&format!("{},{}\n", self.step, numbers.join(",")));
        write_whole(&path, text.as_bytes())
    }

    /// Writes metrics, checkpoint, curve and summary, in this order.
    fn save(
        &mut self,
        metrics: &mut MetricsWriter<E::Record>,
        outcome: Outcome,
    ) -> Result<Summary> {
        let metrics_bytes = metrics.flush()?;
        let progress = Progress {
            step: self.step,
            drawn: self.drawn,
            skipped_in_a_row: self.skipped_in_a_row,
            metrics_bytes,
        };
        let (settings, tensors) = (self.experiment.settings().essence(), self.experiment.state()?);
        Checkpoint { settings, progress, tensors }.write(&self.files.checkpoint())?;
        if let Some(events) = &mut self.events {
            events.flush()?;
        }
        let rows = metrics.rows();
        let seconds = self.seconds_before + self.started.elapsed().as_secs_f64();
        let message = self.message(outcome, rows);
        let steps = self.experiment.settings().steps();
        curve::write(&self.files.curve(), &curve::points(rows, steps))?;
        let summary = Summary::new(rows, steps, outcome, seconds, message);
        summary.write(&self.files.summary())?;
        Ok(summary)
    }

    fn message(&self, outcome: Outcome, rows: &[E::Record]) -> String {
        let folder = self.files.folder.display();
        match outcome {
            Outcome::Running => format!("at step {}; if it was killed, resume it", self.step),
            Outcome::Interrupted => format!(
                "stopped at step {}; go on with: {} train --resume --out {folder}",
                self.step,
                E::PROGRAM
            ),
            Outcome::Finished => format!("finished {} steps", self.step),
            Outcome::Diverged => {
                let first = self.step.saturating_sub(self.skipped_in_a_row) + 1;
                let last = rows.iter().rev().find(|row| !row.skipped());
                let before = last.map_or("no step before it was trained".to_owned(), |row| {
                    let loss = row.raw();
                    let shown = if loss < 1e6 { loss.to_string() } else { format!("{loss:.1e}") };
                    format!("the last finite loss was {shown}")
                });
                let now = rows.last().map_or(f32::NAN, Record::raw);
                format!(
                    "diverged at step {first}: losses became {now} and stayed so for {MOST_SKIPS} \
                     steps; {before}; {}",
                    self.experiment.settings().advice()
                )
            }
        }
    }
}
