//! Benchmarks: each is a program of the package `benches`.

use crate::command::{cargo, run};
use anyhow::Result;
use clap::Subcommand;

/// What to measure. Further arguments go to the benchmark; `--help` says which.
#[derive(Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Bench {
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
        let (program, arguments) = match self {
            Self::Step { arguments } => ("step", arguments),
            Self::StemStep { arguments } => ("stem-step", arguments),
        };
        let mut command = cargo(&format!("run --quiet --release -p benches --bin {program} --"));
        // Candle's own waiting threads out of the way, as `supersample` does for itself.
        run(command.args(arguments).env("CANDLE_NUM_THREADS", "1"))
    }
}
