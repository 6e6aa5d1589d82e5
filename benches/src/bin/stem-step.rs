//! Times training steps of the partial-STEM generator: forward, backward, Adam.
#![forbid(unsafe_code)]

use anyhow::Result;
use benches::Options;
use clap::Parser;
use experiments::run::RunSettings;
use experiments::stem::{Data, Settings, Trainer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times training steps of the partial-STEM generator.
#[derive(Parser)]
#[command(name = "cargo xtask bench stem-step")]
struct Cli {
    /// Pixels along each side.
    #[arg(long, default_value_t = 128)]
    side: usize,
    /// Divisor of the published widths.
    #[arg(long, default_value_t = 4)]
    divisor: usize,
    #[command(flatten)]
    options: Options,
}

fn main() -> Result<()> {
    let Cli { side, divisor, options } = Cli::parse();
    let settings = Settings { side, divisor, ..Settings::default() };
    settings.check()?;
    let data = Data::open(&settings)?;
    let make = || Trainer::new(&settings, &data);
    options.time(&[("side", side), ("divisor", divisor)], None, make)
}
