//! The demonstration: the stability experiment in small.
//!
//! Gradient descent at a stable and at an unstable learning rate, each without and with ALRC, from
//! the same start weights and on the same pictures, for several seeds.

use super::{Data, Row, Settings, Trainer, evaluate_file};
use crate::curve;
use crate::figure::Figure;
use crate::figure::curves::{Curve, Curves, Panel};
use crate::figure::samples::{self, Picture};
use crate::limiter::Threshold;
use crate::metrics;
use crate::optimizer::OptimizerKind;
use crate::progress::{self, RunProgress};
use crate::run::{Files, Start, next_folder, train, train_all};
use crate::summary::{Outcome, Summary};
use anyhow::{Context, Result};
use datasets::SIDE;
use indicatif::MultiProgress;
use std::path::{Path, PathBuf};

/// What can be chosen of the demonstration.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Folder of CIFAR-10; pictures made on the spot without.
    pub data: Option<PathBuf>,
    /// Steps of each run.
    pub steps: u64,
    /// Number of seeds, from 1 on.
    pub seeds: u64,
    /// Width of the network.
    pub width: usize,
    /// Runs side by side.
    pub jobs: usize,
    /// Where results go; a new folder in `runs` without.
    pub out: Option<PathBuf>,
}

/// The two learning rates, and the names of the panels.
const RATES: [(f64, &str); 2] = [(1e-4, "stable"), (3e-3, "unstable")];
/// The two thresholds, and the names of the arms.
const ARMS: [(Option<f64>, &str); 2] = [(None, "without ALRC"), (Some(2.0), "ALRC, n = 2")];
/// A network that outputs nothing but zeros has a loss of 25, less what it clips of the brightest
/// pictures; a run that ends near it has learnt nothing.
const DEAD: f64 = 20.0;

/// A run and its place in the table.
struct Job {
    rate: usize,
    arm: usize,
    seed: u64,
    settings: Settings,
    folder: PathBuf,
}

/// Runs the demonstration and writes its figures; gives its folder and a table for people.
///
/// # Errors
/// A run cannot be carried out, or a file not be written. Runs that break are results.
pub fn demo(options: &DemoOptions) -> Result<(PathBuf, String)> {
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => next_folder(Path::new("runs"))?,
    };
    let jobs = plan(options, &folder);
    let first = jobs.first().context("at least one seed")?;
    let data = Data::open(&first.settings)?;
    println!("Pictures: {}.", data.train.source());
    println!(
        "Gradient descent, batch 1, width {}, {} steps, {} seed(s): at the stable learning rate \
         {:e} and the unstable {:e}, each without and with ALRC. Results: {}",
        options.width,
        options.steps,
        options.seeds,
        RATES[0].0,
        RATES[1].0,
        folder.display()
    );
    let group = MultiProgress::new();
    let summaries = train_all(&jobs, options.jobs, 1, |job| {
        let mut progress = RunProgress::new(&group, &job.folder, job.settings.steps);
        train(Trainer::new(&job.settings, &data)?, &job.folder, Start::NewOrResume, &mut progress)
    })?;
    if progress::stopped() {
        anyhow::bail!("stopped before all runs were done; what is done is in {}", folder.display());
    }
    write_curves(&jobs, &folder, options)?;
    write_samples(&jobs, &data, &folder)?;
    Ok((folder, table(&jobs, &summaries, options.seeds)))
}

fn plan(options: &DemoOptions, folder: &Path) -> Vec<Job> {
    let mut jobs = Vec::new();
    for seed in 1..=options.seeds {
        // The unstable rate first: it takes the longest to finish where it does not break.
        for (rate, (learning_rate, rate_name)) in RATES.iter().enumerate().rev() {
            for (arm, (threshold, _)) in ARMS.iter().enumerate() {
                let settings = Settings {
                    optimizer: OptimizerKind::Sgd,
                    learning_rate: *learning_rate,
                    alrc: Threshold(*threshold),
                    squash: false,
                    steps: options.steps,
                    width: options.width,
                    seed,
                    data: options.data.clone(),
                    ..Settings::default()
                };
                let arm_name = if threshold.is_some() { "alrc" } else { "none" };
                let folder = folder.join(format!("{rate_name}-{arm_name}-seed{seed}"));
                jobs.push(Job { rate, arm, seed, settings, folder });
            }
        }
    }
    jobs
}

fn write_curves(jobs: &[Job], folder: &Path, options: &DemoOptions) -> Result<()> {
    let mut panels: Vec<Panel> = RATES
        .iter()
        .map(|(rate, name)| Panel {
            title: format!("{name} learning rate {rate:e}"),
            curves: Vec::new(),
        })
        .collect();
    for job in jobs {
        let rows: Vec<Row> = metrics::read(&Files::new(&job.folder).metrics())?;
        let curve = Curve::of_run(job.arm, &rows, options.steps, |row| row.raw);
        panels[job.rate].curves.push(curve);
    }
    let curves = Curves {
        panels,
        arms: ARMS.iter().map(|(_, name)| (*name).to_owned()).collect(),
        x_label: "training step".into(),
        y_label: format!("training loss (mean of {} steps)", curve::width(options.steps)),
    };
    curves.write(folder, "curves")
}

/// Test pictures restored by the four networks of the first seed.
fn write_samples(jobs: &[Job], data: &Data, folder: &Path) -> Result<()> {
    // Enough test pictures for the figure.
    let test = (*data.test).clone().take(5).into();
    let few = Data { train: data.train.clone(), test };
    let mut titles = vec!["input".to_owned()];
    let mut rows: Vec<Vec<Picture>> = Vec::new();
    let colours = |planes: &[f32]| Picture::colours(planes, SIDE);
    let mut targets = Vec::new();
    for job in jobs.iter().filter(|job| job.seed == 1) {
        let path = Files::new(&job.folder).checkpoint();
        let (_, evaluation) = evaluate_file(&path, |_| Ok(few.clone()), job.settings.device)?;
        if rows.is_empty() {
            rows = evaluation.samples.iter().map(|[input, ..]| vec![colours(input)]).collect();
            targets = evaluation.samples.iter().map(|[.., target]| colours(target)).collect();
        }
        for (row, [_, output, _]) in rows.iter_mut().zip(evaluation.samples) {
            row.push(colours(&output));
        }
        titles.push(format!("{}\n{}", RATES[job.rate].1, ARMS[job.arm].1));
    }
    titles.push("target".into());
    for (row, target) in rows.iter_mut().zip(targets) {
        row.push(target);
    }
    samples::write(&folder.join("samples.png"), &titles, &rows, 5 * SIDE)
}

fn table(jobs: &[Job], summaries: &[Summary], seeds: u64) -> String {
    let mut text = format!("{:<10} {:<14}", "rate", "arm");
    for seed in 1..=seeds {
        text.push_str(&format!(" {:<28}", format!("seed {seed}")));
    }
    text.push('\n');
    for (rate, (learning_rate, name)) in RATES.iter().enumerate() {
        for (arm, (_, arm_name)) in ARMS.iter().enumerate() {
            let rate_name = if arm == 0 { format!("{learning_rate:e}") } else { name.to_string() };
            text.push_str(&format!("{rate_name:<10} {arm_name:<14}"));
            for (_, summary) in
                jobs.iter().zip(summaries).filter(|(job, _)| (job.rate, job.arm) == (rate, arm))
            {
                text.push_str(&format!(" {:<28}", verdict(summary)));
            }
            text.push('\n');
        }
    }
    text.push_str(
        "Mean training loss over the last 5 % of the steps, and the largest of a step.\n\
         dead: the network outputs grey, or its weights are not finite any more.\n",
    );
    text
}

fn verdict(summary: &Summary) -> String {
    let largest = summary.max_raw.map_or_else(
        || "none".into(),
        |raw| if raw < 1e5 { format!("{raw:.0}") } else { format!("{raw:.0e}") },
    );
    match (summary.outcome, summary.final_mean_raw) {
        (Outcome::Diverged, _) => {
            format!("dead (NaN at {}), max {largest}", summary.steps - summary.skipped_total + 1)
        }
        (_, Some(mean)) if mean < DEAD => format!("{mean:.2}, max {largest}"),
        (_, Some(mean)) => format!("dead ({mean:.1}), max {largest}"),
        (_, None) => format!("dead, max {largest}"),
    }
}
