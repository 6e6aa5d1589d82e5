//! The project's own tasks: `cargo xtask ci`, `cargo xtask bench`, `cargo xtask reproduce`.
#![forbid(unsafe_code)]

mod bench;
mod ci;
mod command;
mod reproduce;

use anyhow::Result;
use clap::Parser;

/// Tasks of the project.
#[derive(Parser)]
enum Task {
    /// Run every check that has to pass before a change lands.
    Ci,
    /// Measure speed; nothing else should run.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Run the paper's experiments: data, sweeps and reports.
    Reproduce(reproduce::Reproduce),
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Ci => ci::run_all(),
        Task::Bench(bench) => bench.run(),
        Task::Reproduce(reproduce) => reproduce.run(),
    }
}
