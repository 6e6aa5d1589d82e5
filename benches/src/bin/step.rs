//! Times training steps of the supersampling network: forward, backward, Adam.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use experiments::clock::{Clock, Phase};
use experiments::device::{available_threads, thread_pool};
use experiments::run::{Experiment, RunSettings};
use experiments::supersample::{Data, Settings, Trainer};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times training steps of the supersampling network.
#[derive(Parser)]
#[command(name = "cargo xtask bench step")]
struct Args {
    /// Channels of the first convolution.
    #[arg(long, default_value_t = 64)]
    width: usize,
    /// Pictures a step.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Steps; by default as many as take about 3 seconds, but at least 6.
    #[arg(long)]
    steps: Option<usize>,
    /// Threads; by default as many as the machine runs at once.
    #[arg(long)]
    threads: Option<usize>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Steps that warm caches and buffers.
const WARM_UP: usize = 2;
const PICTURES: usize = 200;

fn main() -> Result<()> {
    let args = Args::parse();
    thread_pool(args.threads.unwrap_or_else(available_threads))?.install(|| run(&args))
}

fn run(args: &Args) -> Result<()> {
    let settings = Settings { width: args.width, batch: args.batch, ..Settings::default() };
    settings.check()?;
    let data = Data::open(&Settings { pictures: Some(PICTURES), ..settings.clone() })?;
    let mut trainer = Trainer::new(&settings, &data)?;
    let mut batches = trainer.batches(0)?;
    let mut step = |number: usize, clock: &mut Clock| -> Result<Duration> {
        let started = Instant::now();
        clock.start();
        trainer.step(batches.wait()?, number as u64 + 1, clock)?;
        Ok(started.elapsed())
    };
    for number in 0..WARM_UP {
        step(number, &mut Clock::default())?;
    }
    let mut clock = Clock::default();
    let (mut times, started) = (Vec::new(), Instant::now());
    loop {
        times.push(step(times.len() + WARM_UP, &mut clock)?);
        let enough = times.len() >= 6 && started.elapsed() > Duration::from_secs(3);
        if args.steps.map_or(enough, |steps| times.len() >= steps) {
            break;
        }
    }
    times.sort_unstable();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let (best, median) = (milliseconds(times[0]), milliseconds(times[times.len() / 2]));
    let gflops = direct_flops(args.width) * args.batch as f64 / best / 1e6;
    let peak = peak_mib()?;
    let share = |phase| clock.spent(phase).as_secs_f64() / clock.total().as_secs_f64();
    if args.json {
        let shares: serde_json::Map<_, _> =
            Phase::ALL.iter().map(|&p| (p.name().to_owned(), share(p).into())).collect();
        let json = serde_json::json!({
            "width": args.width, "batch": args.batch, "threads": rayon_threads(args),
            "steps": times.len(), "ms_best": best, "ms_median": median, "gflops": gflops,
            "peak_mib": peak, "shares": shares,
        });
        println!("{json}");
        return Ok(());
    }
    println!("width {}, batch {}, {} threads", args.width, args.batch, rayon_threads(args));
    println!("{best:.2} ms best, {median:.2} ms median of {} steps", times.len());
    println!("{gflops:.0} GFLOP/s, counted as direct convolutions");
    let shares = Phase::ALL.map(|phase| format!("{} {:.1} %", phase.name(), 1e2 * share(phase)));
    println!("{}", shares.join(", "));
    println!("{peak:.0} MiB at the peak");
    Ok(())
}

fn rayon_threads(args: &Args) -> usize {
    args.threads.unwrap_or_else(available_threads)
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

/// The most memory that this process has held, in MiB.
fn peak_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")
        .context("peak memory is read from /proc, which this system does not have")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    Ok(kib.context("VmHWM in /proc/self/status")? / 1024.0)
}
