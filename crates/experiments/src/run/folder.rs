//! The folder of a run: its files, and whether a run may begin or go on in it.

use super::{Experiment, RunSettings};
use crate::checkpoint::Checkpoint;
use crate::files::write_whole;
use crate::summary::Summary;
use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What `config.toml` holds: the settings, and where the numbers come from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig<S> {
    /// The program and its version.
    pub program: String,
    /// Where the training pictures came from.
    pub train_pictures: String,
    /// Where the test pictures came from.
    pub test_pictures: String,
    /// The settings.
    pub settings: S,
}

impl<S: RunSettings> RunConfig<S> {
    pub(super) fn new<E: Experiment<Settings = S>>(experiment: &E) -> Self {
        let sources = experiment.sources();
        Self {
            program: format!("{} {}", E::PROGRAM, env!("CARGO_PKG_VERSION")),
            train_pictures: sources.train,
            test_pictures: sources.test,
            settings: experiment.settings().clone(),
        }
    }
}

/// The files of a run folder.
#[derive(Clone, Debug)]
pub struct Files {
    pub(crate) folder: PathBuf,
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
    pub fn curve(&self) -> PathBuf {
        self.folder.join("curve.csv")
    }
    pub fn events(&self) -> PathBuf {
        self.folder.join("metrics.tfevents")
    }
    pub fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint.safetensors")
    }
}

impl Files {
    /// Makes the folder.
    pub(super) fn make_folder(&self) -> Result<()> {
        std::fs::create_dir_all(&self.folder).with_context(|| {
            format!("{}: cannot be made; give another folder with --out", self.folder.display())
        })
    }

    /// Checks that there is a run to resume.
    pub(super) fn check_exists(&self) -> Result<()> {
        let path = self.config();
        ensure!(
            path.exists(),
            "{}: no run to resume here; leave --resume out to start one",
            path.display()
        );
        Ok(())
    }

    /// Begins a run in its folder, which holds its empty metrics.
    pub(super) fn begin<S: RunSettings>(&self, config: &RunConfig<S>) -> Result<()> {
        let folder = self.folder.display();
        ensure!(
            !self.config().exists(),
            "{folder}: holds a run already; go on with it by --resume, or give another folder with \
             --out"
        );
        let empty = |path: &Path| path.metadata().is_ok_and(|data| data.len() == 0);
        for stray in [self.metrics(), self.checkpoint(), self.summary(), self.evaluations()] {
            ensure!(
                !stray.exists() || stray == self.metrics() && empty(&stray),
                "{}: is in the way of a new run, without a config.toml beside it; move it, or give \
                 another folder with --out",
                stray.display()
            );
        }
        self.write_config(config)
    }

    /// Checks that the run in the folder is the one that is asked for; says whether settings that
    /// may change between its parts have.
    pub(super) fn check_resume<S: RunSettings>(&self, asked: &RunConfig<S>) -> Result<bool> {
        let saved: RunConfig<S> = self.read_config()?;
        let mut differences = differences(&saved.settings, &asked.settings)?;
        if saved.train_pictures != asked.train_pictures {
            differences.push(format!(
                "it was trained on {}, not {}",
                saved.train_pictures, asked.train_pictures
            ));
        }
        ensure!(
            differences.is_empty(),
            "{}: the run there has other settings: {}; leave these flags out, or start another run",
            self.folder.display(),
            differences.join("; ")
        );
        Ok(saved.settings != asked.settings)
    }

    pub(super) fn write_config<S: RunSettings>(&self, config: &RunConfig<S>) -> Result<()> {
        write_whole(&self.config(), toml::to_string(config)?.as_bytes())
    }

    fn read_config<S: DeserializeOwned>(&self) -> Result<RunConfig<S>> {
        self.check_exists()?;
        let path = self.config();
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| {
            format!("{}: has it been edited? Put it back as it was", path.display())
        })
    }

    /// The checkpoint; none before the first was written.
    pub(super) fn read_checkpoint<S: RunSettings>(&self) -> Result<Option<Checkpoint<S>>> {
        let path = self.checkpoint();
        path.exists().then(|| Checkpoint::read(&path)).transpose()
    }

    /// Checks that the run can go on from its checkpoint to so many steps.
    pub(super) fn check_progress<S: RunSettings>(
        &self,
        checkpoint: Option<&Checkpoint<S>>,
        steps: u64,
    ) -> Result<()> {
        let folder = self.folder.display();
        let done = checkpoint.map_or(0, |checkpoint| checkpoint.progress.step);
        ensure!(
            done <= steps,
            "{folder}: {done} steps are done already, more than {steps}: give at least {done}, or \
             another folder with --out"
        );
        let recorded =
            if self.summary().exists() { Summary::read(&self.summary())?.steps } else { 0 };
        ensure!(
            recorded == 0 || checkpoint.is_some(),
            "{}: is missing, though {recorded} steps are done; put it back, or start the run again in \
             another folder",
            self.checkpoint().display()
        );
        Ok(())
    }

    /// Removes what programs that were killed had half written. Only whoever holds the lock may.
    pub(super) fn clear_temporary(&self) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                // Where it cannot be removed it does no harm.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Seconds spent on the run up to its last summary.
    pub(super) fn seconds(&self) -> Result<f64> {
        let path = self.summary();
        if path.exists() { Ok(Summary::read(&path)?.seconds) } else { Ok(0.0) }
    }
}

/// Reads `config.toml` of a run folder.
///
/// # Errors
/// There is none, or it cannot be understood: the message names the file and the place in it.
pub fn read_config<S: RunSettings>(folder: &Path) -> Result<RunConfig<S>> {
    Files::new(folder).read_config()
}

/// Reads the settings of a run folder.
///
/// # Errors
/// As [`read_config`].
pub fn read_settings<S: RunSettings>(folder: &Path) -> Result<S> {
    Ok(read_config(folder)?.settings)
}

/// The names of the settings in which a run differs from another, with both values, except those
/// that may change between the parts of a run.
fn differences<S: RunSettings>(saved: &S, asked: &S) -> Result<Vec<String>> {
    let as_table = |settings: &S| toml::Table::try_from(settings.fixed_part()).context("settings");
    let (saved, asked) = (as_table(saved)?, as_table(asked)?);
    let names: BTreeSet<&String> = saved.keys().chain(asked.keys()).collect();
    let show = |table: &toml::Table, name: &String| {
        table.get(name).map_or_else(|| "nothing".into(), ToString::to_string)
    };
    Ok(names
        .into_iter()
        .filter(|name| saved.get(*name) != asked.get(*name))
        .map(|name| format!("{name} is {}, not {}", show(&saved, name), show(&asked, name)))
        .collect())
}
