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
use anyhow::{Context, Result, anyhow, bail, ensure};
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
    ensure!(
        saved.name() == name,
        "{}: holds the run {}; move it, or give another folder with --out",
        folder.display(),
        saved.name()
    );
    Ok(matches!(summary.outcome, Outcome::Finished | Outcome::Diverged).then_some(summary))
}

/// Checks that the folder does not belong to another sweep.
fn check_plan(plan: &Plan, path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let other: Plan = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let same_runs = toml::Table::try_from(&other.sweep)? == toml::Table::try_from(&plan.sweep)?;
    // Where the pictures lie may change, but not whether there are any.
    let same =
        same_runs && other.scale == plan.scale && other.data.is_some() == plan.data.is_some();
    ensure!(
        same,
        "{}: the folder belongs to another sweep ({}, scale {:?}, {}); give another folder with --out, \
         or remove this file to put the runs of both into one folder",
        path.display(),
        other.name,
        other.scale,
        if other.data.is_some() { "pictures from a folder" } else { "no folder of pictures" }
    );
    Ok(())
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
    /// Or why there is none.
    data: Result<Data, String>,
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
    let path = plan_file(&options.out);
    check_plan(&options.plan, &path)?;
    let jobs = options.jobs.clamp(1, left.len().max(1));
    let threads = (options.threads / jobs).max(1);
    let jobs_list = thread_pool(threads)?.install(|| prepare(left))?;
    if !path.exists() {
        write_whole(&path, toml::to_string(&options.plan)?.as_bytes())?;
    }
    if jobs_list.is_empty() {
        return Ok(standing);
    }
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
        let data = data.entry(key).or_insert_with(|| {
            let opened = Data::open(&settings).map_err(|error| format!("{error:#}"));
            if let Ok(data) = &opened {
                println!("Pictures: {}.", data.train.source());
            }
            opened
        });
        let data: Result<Data, String> = data.clone();
        let already = Summary::read(&Files::new(&folder).summary()).map_or(0, |s| s.steps);
        let steps = settings.steps.saturating_sub(already);
        // What fails here fails again when it is trained, and is recorded then.
        let step = data.as_ref().ok().and_then(|data| {
            catch_unwind(AssertUnwindSafe(|| times.measure(&settings, data).ok())).ok().flatten()
        });
        let seconds = steps as f64 * step.unwrap_or(0.0);
        jobs.push(Job { settings, folder, data, seconds });
    }
    if let Some(Err(error)) = jobs.first().map(|job: &Job| &job.data)
        && jobs.iter().all(|job| job.data.is_err())
    {
        bail!("{error}");
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
        // What went wrong last time says nothing of this one.
        let _ = std::fs::remove_file(error_file(&job.folder));
        let mut progress = RunProgress::new(&self.group, &job.folder, job.settings.steps).quiet();
        let work = || {
            let data = job.data.as_ref().map_err(|error| anyhow!("{error}"))?;
            train(
                Trainer::new(&job.settings, data)?,
                &job.folder,
                Start::NewOrResume,
                &mut progress,
            )
        };
        let result = catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(anyhow!("it panicked; the message is on the screen")));
        progress.clear();
        result
    }
}
