//! The project's own tasks: checks, benchmarks, downloads, the reproduction.
#![forbid(unsafe_code)]

mod bench;
mod ci;
mod command;
mod download;
mod overhead;
mod reproduce;

use clap::Parser;
use std::process::ExitCode;

/// Tasks of the project.
#[derive(Parser)]
enum Task {
    /// Run every check that has to pass before a change lands.
    Ci,
    /// Measure speed; nothing else should run.
    Bench(bench::Bench),
    /// Fetch a data set, check it, and put it in place. A second call finds it there.
    #[command(subcommand)]
    Download(download::Download),
    /// Run the paper's experiments: data, sweeps and reports.
    Reproduce(reproduce::Reproduce),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Ci => ci::run_all(),
        Task::Bench(bench) => bench.run(),
        Task::Download(download) => download.run(),
        Task::Reproduce(reproduce) => reproduce.run(),
    };
    if let Err(error) = result {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
