//! Many runs over a grid of settings, in one folder: a folder each, named after its settings.
//!
//! A run is finished once its folder holds a summary that says so. So a sweep can be stopped and
//! started again, several can work on one folder, and small files alone (`config.toml`,
//! `summary.json`, `curve.csv`) carry finished runs to another machine.

mod estimate;
mod grid;
mod scale;
mod shard;

pub use grid::{Grid, Plan};
pub use scale::{Limits, Scale};
pub use shard::Shard;

use super::{Data, Settings, Trainer};
use crate::device::thread_pool;
use crate::files::write_whole;
use crate::metrics::Busy;
use crate::progress::{RunProgress, stopped};
use crate::run::{Files, Start, read_settings, train, train_all};
use crate::summary::{Outcome, Summary};
use anyhow::{Context, Result, anyhow};
use estimate::{StepTimes, side_by_side, spoken};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Where and how a sweep runs.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    /// What it runs.
    pub plan: Plan,
    /// Its folder.
    pub out: PathBuf,
    /// Runs side by side.
    pub jobs: usize,
    /// Threads in all.
    pub threads: usize,
    /// The part of the runs that is this program's.
    pub shard: Shard,
}

/// How the runs of a sweep, or of its shard, stand at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Finished or diverged, some of them earlier.
    pub done: usize,
    /// Ended by an error.
    pub failed: usize,
    /// Trained by another program now.
    pub elsewhere: usize,
    /// Stopped by the user, or not begun.
    pub open: usize,
}

/// The file that says which runs a folder is to have.
pub fn plan_file(folder: &Path) -> PathBuf {
    folder.join("sweep.toml")
}

/// The file in a run's folder that says why it failed.
pub fn error_file(run: &Path) -> PathBuf {
    run.join("error.txt")
}

/// The summary of a run, if it is done: all its steps, or diverged.
///
/// # Errors
/// A file in its folder cannot be understood, or it has other settings than its name says.
pub fn done(folder: &Path, settings: &Settings) -> Result<Option<Summary>> {
    let files = Files::new(folder);
    if !files.summary().exists() {
        return Ok(None);
    }
    let summary = Summary::read(&files.summary())?;
    let (saved, name): (Settings, _) = (read_settings(folder)?, settings.name());
    anyhow::ensure!(
        saved.name() == name,
        "{}: holds the run {}; move it, or give another folder with --out",
        folder.display(),
        saved.name()
    );
    Ok(matches!(summary.outcome, Outcome::Finished | Outcome::Diverged).then_some(summary))
}

/// How one run ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    Failed,
    Elsewhere,
    Open,
}

struct Job {
    settings: Settings,
    folder: PathBuf,
    data: Data,
    seconds: f64,
}

/// Runs what is not done yet. A run that fails is recorded and does not stop the others.
///
/// # Errors
/// The plan is not valid, the pictures cannot be read, or the folder cannot be written.
pub fn sweep(options: &SweepOptions) -> Result<Standing> {
    let runs = options.plan.runs()?;
    let (mut standing, mut left) = (Standing::default(), Vec::new());
    for settings in options.shard.of(&runs) {
        let folder = options.out.join(settings.name());
        match done(&folder, settings) {
            Ok(Some(_)) => standing.done += 1,
            // What cannot be read is tried, and fails with a record of it.
            Ok(None) | Err(_) => left.push((settings.clone(), folder)),
        }
    }
    println!(
        "{}: {} runs{}, {} done, {} to do{}.",
        options.plan.name,
        runs.len(),
        options.shard,
        standing.done,
        left.len(),
        if left.is_empty() { String::new() } else { format!(" in {}", options.out.display()) }
    );
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("{}: cannot be made", options.out.display()))?;
    let plan = toml::to_string(&options.plan)?;
    let path = plan_file(&options.out);
    if std::fs::read_to_string(&path).ok().as_deref() != Some(&plan) {
        write_whole(&path, plan.as_bytes())?;
    }
    if left.is_empty() {
        return Ok(standing);
    }
    let jobs = options.jobs.clamp(1, left.len());
    let threads = (options.threads / jobs).max(1);
    let jobs_list = thread_pool(threads)?.install(|| prepare(left))?;
    let seconds = jobs_list.iter().map(|job| job.seconds);
    println!(
        "{jobs} side by side, {threads} thread(s) each: about {}, by the time of a few steps.",
        spoken(side_by_side(seconds, jobs))
    );
    let screen = Screen::new(&jobs_list, jobs);
    let ends = train_all(&jobs_list, jobs, threads, |job| Ok(screen.run(job)))?;
    for end in ends {
        match end {
            End::Done => standing.done += 1,
            End::Failed => standing.failed += 1,
            End::Elsewhere => standing.elsewhere += 1,
            End::Open => standing.open += 1,
        }
    }
    Ok(standing)
}

/// Reads pictures and estimates times; the longest runs come first, so that none is left at the end.
fn prepare(left: Vec<(Settings, PathBuf)>) -> Result<Vec<Job>> {
    let (mut times, mut data, mut jobs) = (StepTimes::default(), BTreeMap::new(), Vec::new());
    for (settings, folder) in left {
        let key = (settings.data.clone(), settings.pictures);
        let data = match data.get(&key) {
            Some(data) => Data::clone(data),
            None => {
                let opened = Data::open(&settings)?;
                println!("Pictures: {}.", opened.train.source());
                data.insert(key, opened.clone());
                opened
            }
        };
        let already = Summary::read(&Files::new(&folder).summary()).map_or(0, |s| s.steps);
        let steps = settings.steps.saturating_sub(already);
        let seconds = steps as f64 * times.measure(&settings, &data)?;
        jobs.push(Job { settings, folder, data, seconds });
    }
    jobs.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Ok(jobs)
}

/// What a person sees.
struct Screen {
    group: MultiProgress,
    overall: ProgressBar,
}

impl Screen {
    fn new(jobs: &[Job], side_by_side: usize) -> Self {
        let group = MultiProgress::new();
        let overall = group.add(ProgressBar::new(jobs.len() as u64));
        let style = "{prefix:24} {bar:24} {pos}/{len} runs, {elapsed}, about {eta} left";
        let style = ProgressStyle::with_template(style);
        overall.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        overall.set_prefix(format!("all, {side_by_side} at a time"));
        Self { group, overall }
    }

    /// Trains, resumes, or leaves alone.
    fn run(&self, job: &Job) -> End {
        if stopped() {
            return End::Open;
        }
        let (end, word) = match self.try_run(job) {
            Ok(summary) => match summary.outcome {
                Outcome::Finished | Outcome::Diverged => (End::Done, summary.message),
                Outcome::Running | Outcome::Interrupted => (End::Open, summary.message),
            },
            Err(error) if error.downcast_ref::<Busy>().is_some() => {
                (End::Elsewhere, "is trained by another program".into())
            }
            Err(error) => {
                let text = format!("{error:#}");
                // Where even this cannot be written, the message on the screen is what is left.
                let _ = std::fs::create_dir_all(&job.folder);
                let _ = write_whole(&error_file(&job.folder), format!("{text}\n").as_bytes());
                (End::Failed, format!("FAILED: {text}"))
            }
        };
        self.overall.inc(1);
        let line = format!("{}: {word}", job.settings.name());
        self.overall.suspend(|| println!("{line}"));
        end
    }

    fn try_run(&self, job: &Job) -> Result<Summary> {
        // Another program may have finished it meanwhile.
        if let Some(summary) = done(&job.folder, &job.settings)? {
            return Ok(summary);
        }
        let mut progress = RunProgress::new(&self.group, &job.folder, job.settings.steps).quiet();
        let work = || {
            train(
                Trainer::new(&job.settings, &job.data)?,
                &job.folder,
                Start::NewOrResume,
                &mut progress,
            )
        };
        let result = catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(anyhow!("it panicked; the message is on the screen")));
        progress.clear();
        if result.is_ok() {
            let _ = std::fs::remove_file(error_file(&job.folder));
        }
        result
    }
}
