//! The demonstration: training with and without ALRC, and completion of crops that were held out,
//! beside methods that do not learn.

use super::data::test_scan;
use super::evaluate::{MeanSquare, completed};
use super::plain::{harmonic, known, nearest};
use super::{Coverage, Data, Generator, Row, Settings, Trainer};
use crate::checkpoint::Checkpoint;
use crate::curve;
use crate::figure::Figure;
use crate::figure::curves::{Curve, Curves, Panel};
use crate::figure::samples::{self, Picture};
use crate::limiter::Threshold;
use crate::metrics;
use crate::progress::{self, RunProgress};
use crate::run::{Files, RunSettings, Start, next_folder, train, train_all};
use crate::summary::Summary;
use anyhow::{Context, Result, bail};
use candle_core::Device;
use indicatif::MultiProgress;
use std::path::{Path, PathBuf};

/// What can be chosen of the demonstration.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Folder or file of micrographs; lattices made on the spot without.
    pub data: Option<PathBuf>,
    /// Pixels along each side of a crop.
    pub side: usize,
    /// Divisor of the published widths.
    pub divisor: usize,
    /// The part of the pixels that is scanned.
    pub coverage: Coverage,
    /// The learning rate of the first half of the steps.
    pub learning_rate: f64,
    /// Steps of each run.
    pub steps: u64,
    /// Number of seeds, from 1 on.
    pub seeds: u64,
    /// Whether gains and biases start from the first crop.
    pub data_dependent_start: bool,
    /// Leave out pictures that are smaller than a crop.
    pub skip_small: bool,
    /// Runs side by side.
    pub jobs: usize,
    /// Where results go; a new folder in `runs` without.
    pub out: Option<PathBuf>,
}

/// The two thresholds, and the names of the arms.
const ARMS: [(Option<f64>, &str, &str); 2] =
    [(None, "none", "without ALRC"), (Some(3.0), "alrc", "ALRC, n = 3")];
/// Test crops in the figure.
const SHOWN: usize = 4;
/// Screen pixels of a picture's side.
const CELL: usize = 224;

struct Job {
    arm: usize,
    settings: Settings,
    folder: PathBuf,
}

/// Runs the demonstration and writes its figures; gives its folder and a table for people.
///
/// # Errors
/// A run cannot be carried out, or a file not be written. Runs that diverge are results.
pub fn demo(options: &DemoOptions) -> Result<(PathBuf, String)> {
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => next_folder(Path::new("runs"))?,
    };
    let jobs = plan(options, &folder);
    let first = jobs.first().context("at least one seed")?;
    first.settings.check()?;
    let data = Data::open(&first.settings)?;
    println!("Pictures: {}.", data.train.source());
    println!(
        "Spiral scans of coverage {}, widths divided by {}, learning rate {:e}, {} steps, {} seed(s), \
         without and with ALRC. Results: {}",
        options.coverage,
        options.divisor,
        options.learning_rate,
        options.steps,
        options.seeds,
        folder.display()
    );
    let group = MultiProgress::new();
    let summaries = train_all(&jobs, options.jobs, 1, |job| {
        let mut progress = RunProgress::new(&group, &job.folder, job.settings.steps);
        train(Trainer::new(&job.settings, &data)?, &job.folder, Start::NewOrResume, &mut progress)
    })?;
    if progress::stopped() {
        bail!("stopped before all runs were done; what is done is in {}", folder.display());
    }
    write_curves(&jobs, &folder, options.steps)?;
    let table = complete(&jobs, &summaries, &data, &folder)?;
    Ok((folder, table))
}

fn plan(options: &DemoOptions, folder: &Path) -> Vec<Job> {
    let mut jobs = Vec::new();
    for seed in 1..=options.seeds {
        for (arm, (threshold, name, _)) in ARMS.iter().enumerate() {
            let settings = Settings {
                side: options.side,
                divisor: options.divisor,
                coverage: options.coverage.clone(),
                learning_rate: options.learning_rate,
                alrc: Threshold(*threshold),
                steps: options.steps,
                seed,
                data_dependent_start: options.data_dependent_start,
                data: options.data.clone(),
                skip_small: options.skip_small,
                ..Settings::default()
            };
            jobs.push(Job { arm, settings, folder: folder.join(format!("{name}-seed{seed}")) });
        }
    }
    jobs
}

fn write_curves(jobs: &[Job], folder: &Path, steps: u64) -> Result<()> {
    let panel = |title: &str| Panel { title: title.to_owned(), curves: Vec::new() };
    let mut panels = vec![panel("outer loss"), panel("inner loss")];
    let losses: [fn(&Row) -> f32; 2] = [|row| row.outer_raw, |row| row.inner_raw];
    for job in jobs {
        let rows: Vec<Row> = metrics::read(&Files::new(&job.folder).metrics())?;
        for (panel, loss) in panels.iter_mut().zip(losses) {
            panel.curves.push(Curve::of_run(job.arm, &rows, steps, loss));
        }
    }
    let curves = Curves {
        panels,
        arms: ARMS.iter().map(|(_, _, name)| (*name).to_owned()).collect(),
        x_label: "training step".into(),
        y_label: format!("training loss (mean of {} steps)", curve::width(steps)),
    };
    curves.write(folder, "curves")
}

/// Errors of one method over all test crops.
struct Found {
    name: String,
    blurred: MeanSquare,
    itself: MeanSquare,
    largest: Option<f64>,
}

impl Found {
    fn new(name: String, largest: Option<f64>) -> Self {
        Self { name, blurred: MeanSquare::default(), itself: MeanSquare::default(), largest }
    }
}

/// Completes all test crops by every network and by the plain methods; writes `completion.png`, and
/// gives the table.
fn complete(jobs: &[Job], summaries: &[Summary], data: &Data, folder: &Path) -> Result<String> {
    let mut networks = Vec::new();
    for (job, summary) in jobs.iter().zip(summaries) {
        let path = Files::new(&job.folder).checkpoint();
        let checkpoint = Checkpoint::<Settings>::read(&path)?;
        let generator = Generator::new(job.settings.divisor, job.settings.seed, &Device::Cpu)?;
        generator.parameters().load("weights", &checkpoint.tensors)?;
        let name = format!("network, {}, seed {}", ARMS[job.arm].2, job.settings.seed);
        networks.push((job, generator, Found::new(name, summary.max_raw)));
    }
    let mut plain =
        ["harmonic fill", "nearest scanned pixel"].map(|name| Found::new(name.to_owned(), None));
    let mut rows = Vec::new();
    let settings = &jobs[0].settings;
    for number in 0..data.test.crops.len() {
        let batch = test_scan(settings, &data.test, number)?;
        let side = settings.side;
        let picture = |numbers: &[f32]| Picture::greys(numbers, (side, side), (-1.0, 1.0));
        let mut row = vec![picture(&batch.raw)];
        for (job, generator, found) in &mut networks {
            let (outer, _) = completed(generator, batch.clone(), &Device::Cpu)?;
            found.blurred.add(&outer, &batch.outer);
            found.itself.add(&outer, &batch.truth);
            if job.settings.seed == 1 {
                row.push(picture(&outer));
            }
        }
        let known = known(&batch.raw, &data.test.mask);
        for (method, found) in [harmonic, nearest].into_iter().zip(&mut plain) {
            let filled = method(&known, side);
            found.blurred.add(&filled, &batch.outer);
            found.itself.add(&filled, &batch.truth);
            if found.name.starts_with("harmonic") {
                row.push(picture(&filled));
            }
        }
        row.push(picture(&batch.truth));
        if rows.len() < SHOWN {
            if rows.is_empty() {
                rows.push(row.iter().map(|p| p.part(0, 0, (side / 3, side / 3))).collect());
            }
            rows.insert(rows.len() - 1, row);
        }
    }
    let titles = ["scan", "without ALRC", "ALRC, n = 3", "harmonic fill", "truth"];
    let titles: Vec<String> = titles.map(str::to_owned).into();
    samples::write(&folder.join("completion.png"), &titles, &rows, CELL)?;

    let mut text = format!(
        "{:<36} {:>16} {:>16} {:>14}\n",
        "RMS error in % of the range", "blurred truth", "truth itself", "largest loss"
    );
    let networks = networks.iter().map(|(_, _, found)| found);
    for found in networks.chain(&plain) {
        let largest = found.largest.map_or_else(String::new, |loss| format!("{loss:.0}"));
        text.push_str(&format!(
            "{:<36} {:>16.2} {:>16.2} {:>14}\n",
            found.name,
            found.blurred.rms_percent(),
            found.itself.rms_percent(),
            largest
        ));
    }
    text.push_str(&format!(
        "Over {} test crops; networks learn to give the blurred truth. The last row of the picture is \
         the first crop's corner.\n",
        data.test.crops.len()
    ));
    Ok(text)
}
