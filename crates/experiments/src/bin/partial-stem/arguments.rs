//! The command line.

use clap::{Args, Parser, Subcommand};
use experiments::device::DeviceName;
use experiments::limiter::{StartMoments, Threshold};
use experiments::stem::{Coverage, Settings};
use std::path::PathBuf;

/// Complete electron micrographs from spiral scans, with adaptive learning rate clipping (ALRC).
///
/// Without a command: the demonstration, training with and without ALRC and completion of pictures
/// that were held out.
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Train with and without ALRC, complete held-out pictures, and compare with plain methods.
    Demo(DemoArgs),
    /// Train one network.
    Train(TrainArgs),
    /// Measure a trained network on the test crops.
    Evaluate(EvaluateArgs),
    /// Complete pictures with a trained network.
    Complete(CompleteArgs),
    /// Write the mask of a spiral scan.
    Mask(MaskArgs),
}

#[derive(Args)]
pub struct DemoArgs {
    /// Folder or file of micrographs [default: lattices made on the spot]
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Pixels along each side of a crop, a multiple of 32
    #[arg(long, value_name = "N", default_value_t = DemoArgs::default().side)]
    pub side: usize,
    /// Divide the published widths by 1, 2, 4, 8, 16 or 32
    #[arg(long, value_name = "N", default_value_t = DemoArgs::default().divisor)]
    pub divisor: usize,
    /// Part of the pixels that the spiral visits
    #[arg(long, value_name = "C", default_value_t)]
    pub coverage: Coverage,
    /// Learning rate of the first half of the steps
    #[arg(long = "lr", value_name = "F", default_value_t = DemoArgs::default().learning_rate)]
    pub learning_rate: f64,
    /// Steps of each training
    #[arg(long, value_name = "N", default_value_t = DemoArgs::default().steps, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    /// Number of seeds
    #[arg(long, value_name = "N", default_value_t = DemoArgs::default().seeds, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Start gains and biases from the first crop's pre-activations
    #[arg(long)]
    pub data_dependent_start: bool,
    /// Leave out pictures that are smaller than a crop
    #[arg(long)]
    pub skip_small: bool,
    /// Trainings side by side [default: the number of processors]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Folder for the results [default: the first free runs/demo-N]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl Default for DemoArgs {
    fn default() -> Self {
        Self {
            data: None,
            side: 96,
            divisor: 8,
            coverage: Coverage::default(),
            learning_rate: 1e-2,
            steps: 2_000,
            seeds: 2,
            data_dependent_start: false,
            skip_small: false,
            threads: None,
            out: None,
        }
    }
}

/// Every setting defaults to the paper's; with --resume, to that of the run.
#[derive(Args)]
pub struct TrainArgs {
    /// Folder with train/ and test/ or of TIFF and NPY files, or one file [default: made lattices]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Pixels along each side of a crop, a multiple of 32 [default: 512]
    #[arg(long, value_name = "N")]
    side: Option<usize>,
    /// Divide the published widths by 1, 2, 4, 8, 16 or 32 [default: 1]
    #[arg(long, value_name = "N")]
    divisor: Option<usize>,
    /// Part of the pixels that the spiral visits [default: 1/20]
    #[arg(long, value_name = "C")]
    coverage: Option<Coverage>,
    /// Scans without detector noise
    #[arg(long)]
    no_noise: bool,
    /// Learning rate of the first half of the steps; then eight stairs down [default: 3e-4]
    #[arg(long = "lr", value_name = "F", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Clip losses above so many standard deviations, or `none` [default: 3]
    #[arg(long, value_name = "N|none", allow_negative_numbers = true)]
    alrc: Option<Threshold>,
    /// Start moments, mean and mean square of both losses, or `estimate` [default: 25,900]
    #[arg(long, value_name = "MU1,MU2|estimate")]
    start_moments: Option<StartMoments>,
    /// Start gains and biases from the first crop's pre-activations
    #[arg(long)]
    data_dependent_start: bool,
    /// Steps in all; the learning rate depends on it [default: 500000]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Seed of start weights, order of crops, augmentation and noise [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Folder for the run: config.toml, metrics.csv, summary.json, checkpoint.safetensors
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on with the run in --out from its last checkpoint
    #[arg(long)]
    pub resume: bool,
    /// Leave out pictures that are smaller than a crop, instead of ending with an error
    #[arg(long)]
    skip_small: bool,
    /// Use only the first so many crops of each split [default: all]
    #[arg(long, value_name = "N")]
    pictures: Option<usize>,
    /// Steps between checkpoints [default: 1000]
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<u64>,
    /// Steps between evaluations on the test crops, into evaluations.csv [default: 0, none]
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
            side: self.side.unwrap_or(base.side),
            divisor: self.divisor.unwrap_or(base.divisor),
            coverage: self.coverage.clone().unwrap_or(base.coverage),
            noise: base.noise && !self.no_noise,
            learning_rate: self.learning_rate.unwrap_or(base.learning_rate),
            alrc: self.alrc.unwrap_or(base.alrc),
            start_moments: self.start_moments.unwrap_or(base.start_moments),
            data_dependent_start: self.data_dependent_start || base.data_dependent_start,
            steps: self.steps.unwrap_or(base.steps),
            seed: self.seed.unwrap_or(base.seed),
            data: self.data.clone().or(base.data),
            skip_small: self.skip_small || base.skip_small,
            pictures: self.pictures.or(base.pictures),
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
    /// Folder or file of micrographs [default: what the run was trained on]
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Processor threads [default: all]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

#[derive(Args)]
pub struct CompleteArgs {
    /// The checkpoint: checkpoint.safetensors of a run
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// TIFF or NPY files: whole pictures, which are scanned first; or scans, with --mask
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub input: Vec<PathBuf>,
    /// Folder for the completed pictures, a 32-bit TIFF and a PNG file each
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Part of the pixels to scan [default: that of the training]
    #[arg(long, value_name = "C", conflicts_with = "mask")]
    pub coverage: Option<Coverage>,
    /// The inputs are scans already; this is their mask (grey PNG, TIFF or NPY, 0 to 1 or 0 to 255)
    #[arg(long, value_name = "FILE")]
    pub mask: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
    /// Processor threads [default: all]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

#[derive(Args)]
pub struct MaskArgs {
    /// Part of the pixels that the spiral visits
    #[arg(long, value_name = "C", default_value_t)]
    pub coverage: Coverage,
    /// Pixels along each side
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = side)]
    pub side: usize,
    /// The file: .png (8 bits), .tif or .npy (32-bit floats, 0 to 1)
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
}

fn side(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(side) if (2..=1 << 15).contains(&side) => Ok(side),
        _ => Err("expected 2 to 32768".to_owned()),
    }
}
