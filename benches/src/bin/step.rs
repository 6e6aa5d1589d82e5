//! Times training steps of the supersampling network: forward, backward, Adam.
#![forbid(unsafe_code)]

use anyhow::Result;
use benches::Options;
use clap::Parser;
use experiments::run::RunSettings;
use experiments::supersample::{Data, Settings, Trainer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times training steps of the supersampling network.
#[derive(Parser)]
#[command(name = "cargo xtask bench step")]
struct Cli {
    /// Channels of the first convolution.
    #[arg(long, default_value_t = 64)]
    width: usize,
    /// Pictures a step.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    #[command(flatten)]
    options: Options,
}

const PICTURES: usize = 200;

fn main() -> Result<()> {
    let Cli { width, batch, options } = Cli::parse();
    let settings = Settings { width, batch, pictures: Some(PICTURES), ..Settings::default() };
    settings.check()?;
    let data = Data::open(&settings)?;
    let flops = direct_flops(width) * batch as f64;
    let make = || Trainer::new(&settings, &data);
    options.time(&[("width", width), ("batch", batch)], Some(flops), make)
}

/// Floating-point operations of one picture's step by direct convolutions: a multiplication and an
/// addition for each weight and pixel, forward and for both gradients, without the first layer's
/// input gradient.
fn direct_flops(width: usize) -> f64 {
    let (w, wide) = (width as f64, 2.0 * width as f64);
    let first = 25.0 * 3.0 * w;
    let rest = 9.0 * w * wide * 2.0 + 9.0 * wide * wide * 6.0 + 25.0 * w * 3.0;
    32.0 * 32.0 * 2.0 * (2.0 * first + 3.0 * rest)
}
