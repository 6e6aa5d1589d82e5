//! What the run folders of a sweep hold.

use crate::curve::{self, Point};
use crate::run::{Files, RunConfig, read_config};
use crate::summary::{Outcome, Summary};
use crate::supersample::Settings;
use crate::supersample::sweep::{Plan, error_file, plan_file};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How a run stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// All steps are done.
    Finished,
    /// Losses were not finite any more; the text says since when.
    Diverged(String),
    /// So many steps are done; it goes on, or waits to be resumed.
    Unfinished(u64),
    /// It ended with this error, or its folder cannot be read.
    Failed(String),
    /// It has not begun.
    Missing,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its settings.
    pub settings: Settings,
    /// Its folder.
    pub folder: PathBuf,
    /// How it stands.
    pub state: State,
    /// The program and its version, and where its pictures came from.
    pub origin: Option<(String, String)>,
    /// Its numbers up to the last checkpoint.
    pub summary: Option<Summary>,
    /// Its curve up to the last checkpoint.
    pub curve: Vec<Point>,
    /// The mean raw loss on the test pictures, and their peak signal-to-noise ratio in dB, last time
    /// they were measured.
    pub test: Option<(f64, f64)>,
}

impl Run {
    /// Whether its results count: it is finished or diverged.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Finished | State::Diverged(_))
    }
}

/// All runs of a folder: those planned, in their order, then others that are found.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// Which runs the folder is to have, if a sweep made it.
    pub plan: Option<Plan>,
    /// The runs.
    pub runs: Vec<Run>,
    /// Folders that look like runs and cannot be understood, with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// Reads the folder; also while a sweep goes on in it.
///
/// # Errors
/// There is no folder, or no run in it and none planned, or its plan cannot be understood.
pub fn gather(folder: &Path) -> Result<Gathered> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{}: no folder of runs", folder.display()))?;
    let mut found = BTreeMap::new();
    let mut unreadable = Vec::new();
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if !Files::new(&path).config().exists() {
            continue;
        }
        match read_config::<Settings>(&path) {
            Ok(config) => {
                let name = config.settings.name();
                if let Some((other, _)) = found.get(&name) {
                    let other: &PathBuf = other;
                    unreadable.push((path, format!("the same run as {}", other.display())));
                } else {
                    found.insert(name, (path, config));
                }
            }
            Err(error) => unreadable.push((path, format!("{error:#}"))),
        }
    }
    unreadable.sort();
    let plan = plan(folder)?;
    let planned = plan.as_ref().map(Plan::runs).transpose()?.unwrap_or_default();
    let mut runs: Vec<Run> = planned
        .into_iter()
        .map(|settings| match found.remove(&settings.name()) {
            Some((path, config)) => read(path, config),
            None => absent(folder, settings),
        })
        .collect();
    runs.extend(found.into_values().map(|(path, config)| read(path, config)));
    ensure!(
        !runs.is_empty() || !unreadable.is_empty(),
        "{}: no runs in it; give the folder that was --out of a sweep, or one that holds the \
         folders of runs",
        folder.display()
    );
    Ok(Gathered { plan, runs, unreadable })
}

fn plan(folder: &Path) -> Result<Option<Plan>> {
    let path = plan_file(folder);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).map(Some).with_context(|| {
        format!("{}: no plan of a sweep; start the sweep again to have it written", path.display())
    })
}

fn absent(folder: &Path, settings: Settings) -> Run {
    let folder = folder.join(settings.name());
    let state = error(&folder).map_or(State::Missing, State::Failed);
    Run { settings, folder, state, origin: None, summary: None, curve: Vec::new(), test: None }
}

fn error(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(error_file(folder)).ok()?;
    Some(text.trim().to_owned())
}

fn read(folder: PathBuf, config: RunConfig<Settings>) -> Run {
    let files = Files::new(&folder);
    let mut run = Run {
        settings: config.settings,
        state: State::Missing,
        origin: Some((config.program, config.train_pictures)),
        summary: None,
        curve: Vec::new(),
        test: None,
        folder,
    };
    let parts = || -> Result<_> {
        let summary = files.summary().exists().then(|| Summary::read(&files.summary()));
        let curve = files.curve().exists().then(|| curve::read(&files.curve()));
        Ok((summary.transpose()?, curve.transpose()?, last_test(&files.evaluations())?))
    };
    match parts() {
        Ok((summary, curve, test)) => {
            let outcome = summary.as_ref().map(|s| (s.outcome, s.steps, s.message.clone()));
            run.state = match (error(&run.folder), outcome) {
                (_, Some((Outcome::Finished, ..))) => State::Finished,
                (_, Some((Outcome::Diverged, _, message))) => State::Diverged(message),
                (Some(error), _) => State::Failed(error),
                (None, Some((_, steps, _))) => State::Unfinished(steps),
                (None, None) => State::Unfinished(0),
            };
            (run.summary, run.curve, run.test) = (summary, curve.unwrap_or_default(), test);
        }
        Err(error) => run.state = State::Failed(format!("{error:#}")),
    }
    run
}

/// The last line of `evaluations.csv`, if there is the file.
fn last_test(path: &Path) -> Result<Option<(f64, f64)>> {
    if !path.exists() {
        return Ok(None);
    }
    let mut reader = csv::Reader::from_path(path)?;
    let rows = reader.deserialize().collect::<Result<Vec<(u64, f64, f64)>, _>>();
    let rows = rows.with_context(|| path.display().to_string())?;
    Ok(rows.last().map(|&(_, loss, psnr)| (loss, psnr)))
}
