//! What a sweep runs: a grid of settings, read from TOML.

use super::scale::{Limits, Scale};
use crate::run::RunSettings;
use crate::supersample::Settings;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The grids of the paper, by name.
const PRESETS: [(&str, &str); 3] = [
    ("stability", include_str!("presets/stability.toml")),
    ("squared", include_str!("presets/squared.toml")),
    ("quartic", include_str!("presets/quartic.toml")),
];

/// More runs than this are a slip of the pen.
const MOST_RUNS: usize = 100_000;

/// A grid over settings. Where a setting is a list there is a run for each of its values; several
/// lists are combined in all ways.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Runs of each combination, with the seeds from 1 on, unless `seed` is a setting of the grid.
    #[serde(default = "one")]
    pub repeats: u64,
    /// Settings of all runs. Those left out are the paper's.
    #[serde(default)]
    pub settings: Table,
    /// Further settings: each of these tables is a grid of its own. One without settings if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grid: Vec<Table>,
    /// What the scale `quick` cuts it down to.
    #[serde(default)]
    pub quick: Limits,
    /// What the scale `reduced` cuts it down to.
    #[serde(default)]
    pub reduced: Limits,
}

fn one() -> u64 {
    1
}

impl Grid {
    /// One of the presets, or a file.
    ///
    /// # Errors
    /// There is neither, or the file is no grid: the message names the file and the place in it.
    pub fn open(name: &str) -> Result<Self> {
        if let Some((_, text)) = PRESETS.iter().find(|(preset, _)| *preset == name) {
            return toml::from_str(text).with_context(|| format!("the preset {name}"));
        }
        let text = std::fs::read_to_string(name).with_context(|| {
            let presets = PRESETS.map(|(preset, _)| preset).join(", ");
            format!("{name}: cannot be read, and is none of the presets {presets}")
        })?;
        toml::from_str(&text).with_context(|| format!("{name}: no grid of runs"))
    }

    /// Whether it says anything of a setting.
    pub fn names(&self, setting: &str) -> bool {
        self.grid.iter().chain([&self.settings]).any(|table| table.contains_key(setting))
    }

    /// The settings of all runs at a scale, in a fixed order; `data` in place of what the grid says.
    ///
    /// # Errors
    /// A setting is unknown, or its value of another type or out of range.
    pub fn runs(&self, scale: Scale, data: Option<&Path>) -> Result<Vec<Settings>> {
        let limits = match scale {
            Scale::Quick => Limits::QUICK.overridden(&self.quick),
            Scale::Reduced => Limits::REDUCED.overridden(&self.reduced),
            Scale::Paper => Limits::default(),
        };
        let repeats = self.repeats.min(limits.repeats.unwrap_or(u64::MAX));
        ensure!(repeats > 0, "repeats 0: expected at least 1");
        let (mut runs, mut names) = (Vec::<Settings>::new(), BTreeMap::new());
        let one_grid = [Table::new()];
        let grids = if self.grid.is_empty() { &one_grid[..] } else { &self.grid };
        for (number, grid) in grids.iter().enumerate() {
            let mut axes = self.settings.clone();
            axes.extend(grid.clone());
            let seeds = (1..=repeats).map(|seed| Value::Integer(seed.cast_signed())).collect();
            axes.entry("seed").or_insert(Value::Array(seeds));
            for combination in combinations(&axes)? {
                let mut settings = settings(&combination)
                    .with_context(|| format!("[settings] and [[grid]] number {}", number + 1))?;
                if let Some(data) = data {
                    settings.data = Some(data.to_path_buf());
                }
                let Some(mut settings) = limits.cut(settings) else { continue };
                // Where the start has no effect, different ones are no different runs.
                if settings.alrc.0.is_none() || settings.published_moments {
                    settings.start_moments = Settings::default().start_moments;
                }
                settings.check().with_context(|| settings.name())?;
                // Scales may make one run of two, and tables may overlap.
                match names.entry(settings.name()) {
                    Entry::Vacant(name) => {
                        name.insert(runs.len());
                        runs.push(settings);
                    }
                    Entry::Occupied(name) => ensure!(
                        runs[*name.get()] == settings,
                        "{}: two runs of this name, which differ in where their pictures lie or in how \
                         often they are saved or evaluated; make a sweep of each, in a folder of its own",
                        name.key()
                    ),
                }
            }
        }
        ensure!(!runs.is_empty(), "the grid has no runs at this scale: every batch is too large");
        Ok(runs)
    }
}

/// All ways to take one value of each list; the first list varies slowest.
fn combinations(axes: &Table) -> Result<Vec<Table>> {
    let mut all = vec![Table::new()];
    for (name, value) in axes {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        ensure!(!values.is_empty(), "`{name}` is an empty list: expected at least one value");
        let count = all.len() * values.len();
        ensure!(count <= MOST_RUNS, "over {MOST_RUNS} runs: expected fewer");
        let with = |table: &Table, value: &Value| {
            let mut table = table.clone();
            table.insert(name.clone(), value.clone());
            table
        };
        all = all.iter().flat_map(|t| values.iter().map(move |v| with(t, v))).collect();
    }
    Ok(all)
}

/// The paper's settings, with these in their place.
fn settings(changes: &Table) -> Result<Settings> {
    let mut table = Table::try_from(Settings::default())?;
    for (name, value) in changes {
        // Numbers without a point are numbers, too.
        let value = match (table.get(name), value) {
            (Some(Value::Float(_)), Value::Integer(whole)) => Value::Float(*whole as f64),
            (_, Value::Array(_) | Value::Table(_)) => bail!("`{name}`: expected single values"),
            _ => value.clone(),
        };
        table.insert(name.clone(), value);
    }
    table.try_into().context("a setting that cannot be")
}

/// What `sweep.toml` in the folder of a sweep holds: which runs it is to have.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The preset or the file.
    pub name: String,
    /// The scale.
    pub scale: Scale,
    /// The folder of the pictures, if given beside the grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// The grid.
    pub sweep: Grid,
}

impl Plan {
    /// The settings of all runs.
    ///
    /// # Errors
    /// As [`Grid::runs`].
    pub fn runs(&self) -> Result<Vec<Settings>> {
        self.sweep.runs(self.scale, self.data.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn runs(text: &str) -> Result<Vec<Settings>> {
        toml::from_str::<Grid>(text)?.runs(Scale::Paper, None)
    }

    fn names(name: &str, scale: Scale) -> Vec<String> {
        let runs = Grid::open(name).unwrap().runs(scale, None).unwrap();
        runs.iter().map(Settings::name).collect()
    }

    #[test]
    fn presets_are_the_papers() {
        for name in ["squared", "quartic"] {
            let runs = Grid::open(name).unwrap().runs(Scale::Paper, None).unwrap();
            assert_eq!(runs.len(), 4 * 4 * 10);
            let paper = Settings::default();
            assert!(runs.iter().all(|run| run.learning_rate == paper.learning_rate));
            assert!(runs.iter().all(|run| (run.steps, run.width) == (100_000, 64)));
            assert!(runs.iter().all(|run| run.squash && run.start_moments == paper.start_moments));
            // Batches of 64 are left out, and examples limited.
            let reduced = Grid::open(name).unwrap().runs(Scale::Reduced, None).unwrap();
            assert_eq!(reduced.len(), 3 * 4 * 3);
            let steps: BTreeSet<_> = reduced.iter().map(|run| (run.batch, run.steps)).collect();
            assert_eq!(Vec::from_iter(steps), [(1, 20_000), (4, 20_000), (16, 5_000)]);
        }
        let stability = names("stability", Scale::Paper);
        assert_eq!(stability.len(), 8);
        for name in ["squared-sgd-lr3e-3-b1-none-seed1", "squared-adam-lr2e-3-b1-n2-seed1"] {
            assert!(stability.iter().any(|run| run == name), "{name} not in {stability:?}");
        }
        assert!(names("stability", Scale::Reduced).iter().all(|run| !run.contains("width")));
    }

    #[test]
    fn lists_are_combined_and_tables_are_grids_of_their_own() {
        let text = r#"
            repeats = 2
            [settings]
            width = 8
            learning_rate = 1
            [[grid]]
            batch = [1, 2]
            alrc = ["none", 3, 2.5]
            [[grid]]
            seed = [7, 9]
            start_moments = "estimate"
            corrupted = 0.01
            squash = false
            [[grid]]
            batch = 2
        "#;
        let runs = runs(text).unwrap();
        // The last table's runs, at the default threshold 3, are in the first, too.
        assert_eq!(runs.len(), 2 * 2 * 3 + 2);
        let names: Vec<String> = runs.iter().map(Settings::name).collect();
        assert!(names.contains(&"squared-adam-lr1e0-b2-n2.5-width8-seed2".to_owned()), "{names:?}");
        let last = "squared-adam-lr1e0-b1-n3-startestimate-nosquash-width8-corrupted0.01-seed9";
        assert_eq!(names.last().map(String::as_str), Some(last));
    }

    #[test]
    fn starts_without_effect_make_no_runs_of_their_own() {
        let text = "[settings]\nalrc = [\"none\", 2]\nstart_moments = [\"25,900\", \"estimate\"]";
        let names: Vec<String> = runs(text).unwrap().iter().map(Settings::name).collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[test]
    fn names_differ_wherever_results_may() {
        let settings = |text: &str| runs(text).unwrap().remove(0);
        let base = settings("");
        let table = Table::try_from(&base).unwrap();
        let mut names = BTreeSet::from([base.name()]);
        let others = [
            ("loss", r#""quartic""#),
            ("optimizer", r#""sgd""#),
            ("learning_rate", "1.0"),
            ("batch", "2"),
            ("alrc", "2"),
            ("start_moments", r#""1,2""#),
            ("published_moments", "true"),
            ("squash", "false"),
            ("steps", "7"),
            ("width", "8"),
            ("seed", "2"),
            ("pictures", "9"),
            ("corrupted", "0.5"),
        ];
        for (name, value) in others {
            let run = settings(&format!("[settings]\n{name} = {value}"));
            assert!(names.insert(run.name()), "{name}");
        }
        // The others say where and how often.
        let where_and_how_often = ["checkpoint_every", "eval_every", "device"];
        let named = others.iter().filter(|(name, _)| table.contains_key(*name)).count();
        assert_eq!(named + where_and_how_often.len(), table.len());
    }

    #[test]
    fn errors_say_where_and_what() {
        let cases = [
            ("[settings]\nbatsh = 3", "batsh"),
            ("[settings]\nbatch = [0]", "batch 0"),
            ("[settings]\nbatch = []", "`batch` is an empty list"),
            ("[settings]\nloss = \"cubic\"", "cubic"),
            ("[settings]\nalrc = -1", "-1"),
            ("repeats = 0", "repeats 0"),
            ("repeets = 1", "repeets"),
            ("[settings]\nbatch = [[1]]", "single values"),
            ("[settings]\ndata = [\"a\", \"b\"]", "two runs of this name"),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", runs(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = format!("{:#}", Grid::open("no-such.toml").unwrap_err());
        assert!(error.contains("no-such.toml") && error.contains("stability"), "{error}");
    }
}
