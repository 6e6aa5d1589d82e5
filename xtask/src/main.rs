//! The project's own tasks: `cargo xtask ci`.
#![forbid(unsafe_code)]

mod ci;
mod command;

use anyhow::Result;
use clap::Parser;

/// Tasks of the project.
#[derive(Parser)]
enum Task {
    /// Run every check that has to pass before a change lands.
    Ci,
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Ci => ci::run_all(),
    }
}
