//! Completion of partial STEM scans with adaptive learning rate clipping.

mod arguments;
mod complete;

use anyhow::{Context, Result, ensure};
use arguments::{Cli, Command, DemoArgs, EvaluateArgs, MaskArgs, TrainArgs};
use clap::Parser;
use datasets::micrograph::Micrograph;
use datasets::{spiral_mask, weight};
use experiments::checkpoint::Checkpoint;
use experiments::device::{available_threads, quiet_candle, thread_pool};
use experiments::progress::stop_on_ctrl_c;
use experiments::run::{RunSettings, Start, read_settings, train_alone};
use experiments::stem::{
    Data, DemoOptions, Generator, Settings, TestData, Trainer, demo, evaluate, files::write,
};
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    quiet_candle();
    let result = match Cli::parse().command.unwrap_or(Command::Demo(DemoArgs::default())) {
        Command::Demo(args) => run_demo(args),
        Command::Train(args) => run_train(args),
        Command::Evaluate(args) => run_evaluate(args),
        Command::Complete(args) => complete::run(args),
        Command::Mask(args) => run_mask(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_demo(args: DemoArgs) -> Result<ExitCode> {
    stop_on_ctrl_c();
    let started = std::time::Instant::now();
    let options = DemoOptions {
        data: args.data,
        side: args.side,
        divisor: args.divisor,
        coverage: args.coverage,
        learning_rate: args.learning_rate,
        steps: args.steps,
        seeds: args.seeds,
        data_dependent_start: args.data_dependent_start,
        skip_small: args.skip_small,
        jobs: args.threads.unwrap_or_else(available_threads),
        out: args.out,
    };
    let (folder, table) = demo(&options)?;
    println!("\n{table}");
    println!(
        "{:.0} seconds. Look at {} and {} (and .svg).",
        started.elapsed().as_secs_f64(),
        folder.join("completion.png").display(),
        folder.join("curves.png").display()
    );
    Ok(ExitCode::SUCCESS)
}

fn run_train(args: TrainArgs) -> Result<ExitCode> {
    stop_on_ctrl_c();
    let (start, base) = if args.resume {
        (Start::Resume, read_settings(&args.out)?)
    } else {
        (Start::New, Settings::default())
    };
    let settings = args.over(base);
    settings.check()?;
    let data = Data::open(&settings)?;
    println!("Pictures: {}.", data.train.source());
    let threads = args.threads.unwrap_or_else(available_threads);
    train_alone(|| Trainer::new(&settings, &data), &args.out, start, threads)
}

/// The settings and the generator of a checkpoint.
fn open_checkpoint(path: &Path) -> Result<(Settings, Generator)> {
    let checkpoint = Checkpoint::<Settings>::read(path)?;
    let settings = checkpoint.settings;
    let generator = || -> Result<Generator> {
        settings.check()?;
        let device = candle_core::Device::Cpu;
        let generator = Generator::new(settings.divisor, settings.seed, &device)?;
        generator.parameters().load("weights", &checkpoint.tensors)?;
        Ok(generator)
    };
    let generator = generator().with_context(|| path.display().to_string())?;
    Ok((settings, generator))
}

fn run_evaluate(args: EvaluateArgs) -> Result<ExitCode> {
    let (trained, generator) = open_checkpoint(&args.checkpoint)?;
    let data = args.data.or_else(|| trained.data.clone());
    let settings = Settings { data, pictures: None, ..trained };
    let data = TestData::open(&settings)?;
    println!("Pictures: {}.", data.crops.source());
    let pool = thread_pool(args.threads.unwrap_or_else(available_threads))?;
    let found =
        pool.install(|| evaluate(&generator, &settings, &data, &candle_core::Device::Cpu))?;
    println!(
        "outer loss {:.3} (standard deviation {:.3}), inner loss {:.3} ({:.3}); RMS error {:.2} % of \
         the range against the blurred truth, {:.2} % against the truth; {} crops",
        found.outer.0,
        found.outer.1,
        found.inner.0,
        found.inner.1,
        found.rms_blurred,
        found.rms,
        found.count
    );
    Ok(ExitCode::SUCCESS)
}

fn run_mask(args: MaskArgs) -> Result<ExitCode> {
    ensure!(
        args.force || !args.out.exists(),
        "{}: is there already; give another file with --out, or --force to replace it",
        args.out.display()
    );
    let mask = spiral_mask(args.side, args.coverage.value());
    let pixels: Vec<f32> = mask.iter().map(|&mask| weight(mask)).collect();
    let count = pixels.len() as f64;
    let mean = pixels.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let above = mask.iter().filter(|&&mask| mask > 0).count() as f64 / count;
    write(&args.out, &Micrograph::new(args.side, args.side, pixels), (0.0, 1.0))?;
    println!(
        "mean {mean:.5} (1/{:.1}), {:.2} % of the pixels above 0: {}",
        1.0 / mean,
        100.0 * above,
        args.out.display()
    );
    Ok(ExitCode::SUCCESS)
}
