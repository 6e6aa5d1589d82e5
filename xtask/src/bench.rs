//! Benchmarks of the package `benches`.

use crate::command::{cargo, run};
use crate::overhead;
use anyhow::Result;
use clap::{Args, Subcommand};

/// What to measure; the overhead of clipping unless a command is given.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Bench {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    overhead: Overhead,
}

/// What clipping costs: the core, and what the layer adds to a step.
#[derive(Args, Clone)]
pub struct Overhead {
    /// Keep the times under this name
    #[arg(long, value_name = "NAME", conflicts_with = "against")]
    pub save: Option<String>,
    /// Compare with the times kept under this name
    #[arg(long, value_name = "NAME")]
    pub against: Option<String>,
}

#[derive(Subcommand)]
enum What {
    /// What clipping costs, beside TensorFlow where it is installed (for `$PYTHON` or `python3`).
    Overhead(Overhead),
    /// Training steps of the supersampling network: `--width W --batch B [--json]`.
    #[command(disable_help_flag = true)]
    Step {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Training steps of the partial-STEM generator: `--side N --divisor N [--json]`.
    #[command(disable_help_flag = true)]
    StemStep {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

impl Bench {
    /// Builds and runs it.
    pub fn run(self) -> Result<()> {
        let (program, arguments) = match self.what {
            None => return overhead::measure(&self.overhead),
            Some(What::Overhead(overhead)) => return overhead::measure(&overhead),
            Some(What::Step { arguments }) => ("step", arguments),
            Some(What::StemStep { arguments }) => ("stem-step", arguments),
        };
        let mut command = cargo(&format!("run --quiet --release -p benches --bin {program} --"));
        // Candle's own waiting threads out of the way, as `supersample` does for itself.
        run(command.args(arguments).env("CANDLE_NUM_THREADS", "1"))
    }
}
