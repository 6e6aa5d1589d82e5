//! The command line.

use clap::{Args, Parser, Subcommand};
use experiments::device::DeviceName;
use experiments::limiter::{StartMoments, Threshold};
use experiments::optimizer::OptimizerKind;
use experiments::supersample::sweep::{Scale, Shard};
use experiments::supersample::{LossKind, Settings};
use std::path::PathBuf;

/// Restore 32x32 pictures from their 16x16 versions, with adaptive learning rate clipping (ALRC).
///
/// Without a command: the demonstration, four short trainings that show what ALRC does.
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Show what ALRC does: training at a stable and an unstable learning rate, with and without.
    Demo(DemoArgs),
    /// Train one network.
    Train(TrainArgs),
    /// Train many networks: a grid of settings, with repeats.
    Sweep(SweepArgs),
    /// Make tables, figures and a page of the runs of a sweep; also while it goes on.
    Report(ReportArgs),
    /// Measure a trained network on the test pictures.
    Evaluate(EvaluateArgs),
}

#[derive(Args)]
pub struct DemoArgs {
    /// Folder of CIFAR-10 [default: data/cifar10 if it is there, else pictures made on the spot]
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Steps of each training
    #[arg(long, default_value_t = DemoArgs::default().steps, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    /// Number of seeds
    #[arg(long, default_value_t = DemoArgs::default().seeds, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Width of the network
    #[arg(long, default_value_t = DemoArgs::default().width)]
    pub width: usize,
    /// Trainings side by side [default: the number of processors]
    #[arg(long)]
    pub threads: Option<usize>,
    /// Folder for the results [default: the first free runs/demo-N]
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl Default for DemoArgs {
    fn default() -> Self {
        Self { data: None, steps: 2_500, seeds: 3, width: 16, threads: None, out: None }
    }
}

/// Every setting defaults to the paper's; with --resume, to that of the run.
#[derive(Args)]
pub struct TrainArgs {
    /// Folder of CIFAR-10 [default: data/cifar10 if it is there, else pictures made on the spot]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Power of the error [default: squared]
    #[arg(long)]
    loss: Option<LossKind>,
    /// Optimiser [default: adam]
    #[arg(long)]
    optimizer: Option<OptimizerKind>,
    /// Learning rate at the start; a tenth every floor(10000/batch * 350) steps [default: 0.1/128]
    #[arg(long = "lr", value_name = "F", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Pictures a step [default: 1]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Clip losses above so many standard deviations, or `none` [default: 3]
    #[arg(long, value_name = "N|none", allow_negative_numbers = true)]
    alrc: Option<Threshold>,
    /// Steps in all [default: 100000]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Width of the network [default: 64]
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Seed of start weights, order of pictures and augmentation [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Folder for the run: config.toml, metrics.csv, summary.json, checkpoint.safetensors
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on with the run in --out from its last checkpoint
    #[arg(long)]
    pub resume: bool,
    /// Start moments, mean and mean square of the loss, or `estimate` from 10 steps [default: 25,900]
    #[arg(long, value_name = "MU1,MU2|estimate")]
    start_moments: Option<StartMoments>,
    /// Average as the published scripts do: moments that settle at a third of the true ones
    #[arg(long)]
    published_moments: bool,
    /// Keep losses of 50 and more instead of replacing them by their square root
    #[arg(long)]
    no_squash: bool,
    /// Use only the first so many pictures of each split [default: all]
    #[arg(long, value_name = "N")]
    pictures: Option<usize>,
    /// Corrupt this part of the training pictures by noise of 50 standard deviations [default: 0]
    #[arg(long, value_name = "PART")]
    corrupted: Option<f64>,
    /// Steps between checkpoints [default: 1000]
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<u64>,
    /// Steps between evaluations on the test pictures, into evaluations.csv [default: 0, none]
    #[arg(long, value_name = "N")]
    eval_every: Option<u64>,
    /// Write TensorBoard event files, too
    #[arg(long)]
    tensorboard: bool,
    /// Processor threads; results do not depend on it [default: all]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Device [default: cpu]
    #[arg(long)]
    device: Option<DeviceName>,
}

impl TrainArgs {
    /// The settings: these flags where given, else those of `base`.
    pub fn over(&self, base: Settings) -> Settings {
        Settings {
            loss: self.loss.unwrap_or(base.loss),
            optimizer: self.optimizer.unwrap_or(base.optimizer),
            learning_rate: self.learning_rate.unwrap_or(base.learning_rate),
            batch: self.batch.unwrap_or(base.batch),
            alrc: self.alrc.unwrap_or(base.alrc),
            start_moments: self.start_moments.unwrap_or(base.start_moments),
            published_moments: self.published_moments || base.published_moments,
            squash: base.squash && !self.no_squash,
            steps: self.steps.unwrap_or(base.steps),
            width: self.width.unwrap_or(base.width),
            seed: self.seed.unwrap_or(base.seed),
            data: self.data.clone().or(base.data),
            pictures: self.pictures.or(base.pictures),
            corrupted: self.corrupted.or(base.corrupted),
            checkpoint_every: self.checkpoint_every.unwrap_or(base.checkpoint_every),
            eval_every: self.eval_every.unwrap_or(base.eval_every),
            tensorboard: self.tensorboard || base.tensorboard,
            device: self.device.unwrap_or(base.device),
        }
    }
}

#[derive(Args)]
pub struct EvaluateArgs {
    /// The checkpoint: checkpoint.safetensors of a run
    pub checkpoint: PathBuf,
    /// Folder of CIFAR-10 [default: data/cifar10 if it is there, else what the run was trained on]
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// The picture: input, output and target side by side [default: beside the checkpoint, .png]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the picture if it is there
    #[arg(long)]
    pub force: bool,
    /// Processor threads [default: all]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Device
    #[arg(long, default_value = "cpu")]
    pub device: DeviceName,
}

/// May be stopped at any moment and started again: finished runs are kept, others resumed.
#[derive(Args)]
pub struct SweepArgs {
    /// A TOML file (docs/sweeps.md), or one of the presets stability, squared, quartic
    pub grid: String,
    /// Folder of CIFAR-10 [default: what GRID says, else data/cifar10 if it is there, else pictures
    /// made on the spot]
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Folder for the runs
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Cut the grid down to minutes (quick) or hours (reduced), or leave it as it is (paper)
    #[arg(long, default_value = "paper")]
    pub scale: Scale,
    /// Runs side by side [default: as many as there are processor threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Run the I-th of N parts alone, for several machines on one folder
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    pub shard: Shard,
}

#[derive(Args)]
pub struct ReportArgs {
    /// The folder of a sweep; report.html and report/ are written into it
    pub folder: PathBuf,
}
