//! Runs that differ in their seed alone, together: the cells of the tables.

use super::gather::{Run, State};
use super::statistics::{Sample, welch};
use crate::run::RunSettings;
use crate::supersample::Settings;
use anyhow::{Context, Result};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use toml::Table;

/// The settings that make an arm: what limits the losses. The others are the conditions.
const ARM: [&str; 3] = ["alrc", "start_moments", "published_moments"];
/// Settings that are no part of either.
const IGNORED: [&str; 2] = ["seed", "data"];
/// The order in which settings are named.
const ORDER: [&str; 8] =
    ["loss", "optimizer", "learning_rate", "batch", "squash", "width", "steps", "corrupted"];

/// The repeats of one arm under the same conditions.
#[derive(Clone, Debug)]
pub struct Cell<'a> {
    /// All its runs, done or not.
    pub runs: Vec<&'a Run>,
    /// How many are done.
    pub done: usize,
    /// How many of them diverged.
    pub diverged: usize,
    /// The mean of the final unclipped training losses of each run that did not diverge.
    pub unclipped: Sample,
    /// The same of the losses themselves.
    pub raw: Sample,
    /// The loss on the test pictures.
    pub test: Sample,
    /// The largest loss of a step in any run.
    pub largest: Option<f64>,
    /// Losses clipped, of all of them.
    pub clipped: f64,
    /// Whether it differs from the arm without clipping: Welch's test of `unclipped`.
    pub p: Option<f64>,
    /// Differences from the arm without clipping, seed by seed.
    pub differences: Sample,
    /// The final unclipped loss by seed.
    by_seed: BTreeMap<u64, f64>,
}

/// All runs, by conditions and arms.
#[derive(Clone, Debug)]
pub struct Cells<'a> {
    /// What all runs have in common.
    pub common: String,
    /// The conditions that differ: a name for each row.
    pub conditions: Vec<String>,
    /// A name for each column.
    pub arms: Vec<String>,
    /// By row and column.
    pub cells: Vec<Vec<Option<Cell<'a>>>>,
    /// The batch of each row.
    pub batches: Vec<usize>,
}

impl<'a> Cells<'a> {
    /// Sorts runs into cells, in the order in which they come.
    ///
    /// # Errors
    /// Settings cannot be written as text.
    pub fn of(runs: &'a [Run]) -> Result<Self> {
        // Pictures from elsewhere are another condition; where they lie is none. Runs that have not begun
        // will see what the others see.
        let pictures = |run: &Run| {
            let (_, pictures) = run.origin.as_ref()?;
            Some(pictures.split(" from ").next().unwrap_or(pictures).to_owned())
        };
        let usual = runs.iter().find_map(pictures).unwrap_or_default();
        let tables = runs.iter().map(|run| {
            let mut told = described(&run.settings)?;
            told.insert("origin".into(), pictures(run).unwrap_or_else(|| usual.clone()));
            Ok(told)
        });
        let tables = tables.collect::<Result<Vec<_>>>()?;
        let mut values: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for table in &tables {
            for (name, value) in table {
                let seen = values.entry(name).or_default();
                if !seen.contains(&value) {
                    seen.push(value);
                }
            }
        }
        let mut names: Vec<&str> = values.keys().copied().collect();
        names.sort_by_key(|name| ORDER.iter().position(|known| known == name).unwrap_or(99));
        let differs = |name: &&str| values[name].len() > 1 && !ARM.contains(name);
        let (differing, same): (Vec<&str>, Vec<&str>) = names.iter().partition(|n| differs(n));
        let told = |table: &BTreeMap<String, String>, names: &[&str]| -> String {
            let parts = names.iter().filter_map(|name| table.get(*name)).filter(|t| !t.is_empty());
            parts.map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let same: Vec<&str> = same.into_iter().filter(|name| !ARM.contains(name)).collect();
        let mut by_threshold: Vec<&Settings> = runs.iter().map(|run| &run.settings).collect();
        by_threshold.sort_by(|a, b| a.alrc.0.partial_cmp(&b.alrc.0).unwrap_or(Ordering::Equal));
        let mut arms = Vec::new();
        for settings in by_threshold {
            place(&mut arms, arm(settings));
        }
        let (mut conditions, mut batches) = (Vec::new(), Vec::new());
        let mut sorted: BTreeMap<(usize, usize), Vec<&Run>> = BTreeMap::new();
        for (run, table) in runs.iter().zip(&tables) {
            let row = place(&mut conditions, told(table, &differing));
            if row == batches.len() {
                batches.push(run.settings.batch);
            }
            let column = place(&mut arms, arm(&run.settings));
            sorted.entry((row, column)).or_default().push(run);
        }
        let cell = |row, column| sorted.get(&(row, column)).map(|runs| Cell::of(runs));
        let mut cells: Vec<Vec<Option<Cell<'_>>>> = (0..conditions.len())
            .map(|row| (0..arms.len()).map(|column| cell(row, column)).collect())
            .collect();
        if let Some(none) = arms.iter().position(|arm| arm == NONE) {
            for row in &mut cells {
                let Some(base) = row[none].clone() else { continue };
                let others = row.iter_mut().enumerate().filter(|(column, _)| *column != none);
                for cell in others.filter_map(|(_, cell)| cell.as_mut()) {
                    // Without the runs that diverged or are not done it would be another question.
                    let whole = base.is_whole() && cell.is_whole();
                    cell.p = welch(&base.unclipped, &cell.unclipped).filter(|_| whole);
                    let both = cell.by_seed.iter();
                    let both = both.filter_map(|(seed, loss)| Some(loss - base.by_seed.get(seed)?));
                    cell.differences = Sample::of(&both.collect::<Vec<_>>());
                }
            }
        }
        let common = tables.first().map_or(String::new(), |table| told(table, &same));
        Ok(Self { common, conditions, arms, cells, batches })
    }

    /// All cells with their conditions and arms.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Cell<'a>)> {
        self.conditions.iter().zip(&self.cells).flat_map(move |(condition, row)| {
            let cells = self.arms.iter().zip(row);
            cells.filter_map(move |(arm, cell)| {
                Some((condition.as_str(), arm.as_str(), cell.as_ref()?))
            })
        })
    }
}

impl<'a> Cell<'a> {
    /// Whether all its runs are finished and none diverged.
    fn is_whole(&self) -> bool {
        self.done == self.runs.len() && self.diverged == 0
    }

    fn of(runs: &[&'a Run]) -> Self {
        let done: Vec<&Run> = runs.iter().copied().filter(|run| run.is_done()).collect();
        let summaries = || done.iter().filter_map(|run| run.summary.as_ref());
        let finished: Vec<&&Run> = done.iter().filter(|run| learned(run)).collect();
        let sample = |number: &dyn Fn(&Run) -> Option<f64>| {
            Sample::of(&finished.iter().filter_map(|run| number(run)).collect::<Vec<_>>())
        };
        let seen = |run: &&Run| Some(run.settings.batch as u64 * run.summary.as_ref()?.steps);
        let losses: u64 = done.iter().filter_map(seen).sum();
        let clipped: u64 = summaries().map(|summary| summary.clipped_total).sum();
        Self {
            runs: runs.to_vec(),
            done: done.len(),
            diverged: done.len() - finished.len(),
            unclipped: sample(&|run| run.summary.as_ref()?.final_mean_unclipped),
            raw: sample(&|run| run.summary.as_ref()?.final_mean_raw),
            test: sample(&|run| Some(run.test?.0)),
            largest: summaries().filter_map(|summary| summary.max_raw).reduce(f64::max),
            clipped: clipped as f64 / losses as f64,
            p: None,
            differences: Sample::of(&[]),
            by_seed: finished
                .iter()
                .filter_map(|run| {
                    Some((run.settings.seed, run.summary.as_ref()?.final_mean_unclipped?))
                })
                .collect(),
        }
    }
}

/// Whether a run is finished and has a final loss: one that breaks in its last steps has none.
fn learned(run: &Run) -> bool {
    let summary = run.summary.as_ref();
    run.state == State::Finished && summary.is_some_and(|it| it.final_mean_unclipped.is_some())
}

/// The arm without clipping.
pub const NONE: &str = "none";

/// An arm as people are shown it.
pub fn shown(arm: &str) -> &str {
    if arm == NONE { "without ALRC" } else { arm }
}

/// The name of an arm.
fn arm(settings: &Settings) -> String {
    let Some(n) = settings.alrc.0 else { return NONE.into() };
    let paper = Settings::default();
    let mut name = format!("n = {n}");
    if settings.published_moments {
        name.push_str(", published moments");
    } else if settings.start_moments != paper.start_moments {
        name.push_str(&format!(", start {}", settings.start_moments.to_string().replace(',', "/")));
    }
    name
}

/// What a person is told of each setting; nothing of what is as usual.
fn described(settings: &Settings) -> Result<BTreeMap<String, String>> {
    let table = Table::try_from(settings.essence()).context("settings")?;
    let usual = Table::try_from(Settings::default()).context("settings")?;
    let text = |name: &str, value: &toml::Value| -> String {
        let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match name {
            "loss" => format!("{plain} error"),
            "optimizer" if plain == "sgd" => "gradient descent".into(),
            "optimizer" => "Adam".into(),
            "learning_rate" => format!("learning rate {:e}", settings.learning_rate),
            "squash" if settings.squash => "square root of losses from 50 on".into(),
            "squash" => "no square root".into(),
            "corrupted" => {
                format!("{} % of pictures corrupted", 1e2 * settings.corrupted.unwrap_or(0.0))
            }
            "pictures" => format!("the first {plain} pictures"),
            "batch" | "width" | "steps" => format!("{} {plain}", name),
            _ if usual.get(name) == Some(value) => String::new(),
            _ => format!("{} {plain}", name.replace('_', " ")),
        }
    };
    let table = table.iter().filter(|(name, _)| !IGNORED.contains(&name.as_str()));
    let mut told: BTreeMap<String, String> =
        table.map(|(name, value)| (name.clone(), text(name, value))).collect();
    for left_out in ["corrupted", "pictures"] {
        told.entry(left_out.into()).or_default();
    }
    Ok(told)
}

fn place(names: &mut Vec<String>, name: String) -> usize {
    names.iter().position(|known| *known == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}
