//! Supersampling of CIFAR-10 with adaptive learning rate clipping.

mod arguments;

use anyhow::{Result, ensure};
use arguments::{Cli, Command, DemoArgs, EvaluateArgs, ReportArgs, SweepArgs, TrainArgs};
use clap::Parser;
use datasets::SIDE;
use experiments::device::{available_threads, quiet_candle, thread_pool};
use experiments::figure::samples::{self, Picture};
use experiments::progress::stop_on_ctrl_c;
use experiments::run::{RunSettings, Start, read_settings, train_alone};
use experiments::supersample::report::report;
use experiments::supersample::sweep::{Grid, Plan, SweepOptions, sweep};
use experiments::supersample::{Data, DemoOptions, Settings, Trainer, demo, evaluate_file};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    quiet_candle();
    let result = match Cli::parse().command.unwrap_or(Command::Demo(DemoArgs::default())) {
        Command::Demo(args) => run_demo(args),
        Command::Train(args) => run_train(args),
        Command::Sweep(args) => run_sweep(args),
        Command::Report(args) => run_report(args),
        Command::Evaluate(args) => run_evaluate(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder that was asked for, else the one that the downloader fills, else none.
fn data_folder(asked: Option<PathBuf>) -> Option<PathBuf> {
    let downloaded = Path::new("data/cifar10");
    asked.or_else(|| downloaded.is_dir().then(|| downloaded.to_path_buf()))
}

fn run_demo(args: DemoArgs) -> Result<ExitCode> {
    stop_on_ctrl_c();
    let started = std::time::Instant::now();
    let options = DemoOptions {
        data: data_folder(args.data),
        steps: args.steps,
        seeds: args.seeds,
        width: args.width,
        jobs: args.threads.unwrap_or_else(available_threads),
        out: args.out,
    };
    let (folder, table) = demo(&options)?;
    println!("\n{table}");
    println!(
        "{:.0} seconds. Look at {} (and .svg) and {}.",
        started.elapsed().as_secs_f64(),
        folder.join("curves.png").display(),
        folder.join("samples.png").display()
    );
    Ok(ExitCode::SUCCESS)
}

fn run_train(args: TrainArgs) -> Result<ExitCode> {
    stop_on_ctrl_c();
    let (start, base) = if args.resume {
        (Start::Resume, read_settings(&args.out)?)
    } else {
        (Start::New, Settings { data: data_folder(None), ..Settings::default() })
    };
    let settings = args.over(base);
    settings.check()?;
    let data = Data::open(&settings)?;
    println!("Pictures: {}.", data.train.source());
    let threads = args.threads.unwrap_or_else(available_threads);
    train_alone(|| Trainer::new(&settings, &data), &args.out, start, threads)
}

fn run_sweep(args: SweepArgs) -> Result<ExitCode> {
    stop_on_ctrl_c();
    let grid = Grid::open(&args.grid)?;
    let named = grid.names("data");
    let data = if named { args.data } else { data_folder(args.data) };
    let threads = available_threads();
    let options = SweepOptions {
        plan: Plan { name: args.grid, scale: args.scale, data, sweep: grid },
        jobs: args.jobs.map_or(threads, usize::from),
        out: args.out,
        threads,
        shard: args.shard,
    };
    let standing = sweep(&options)?;
    println!(
        "{} done, {} failed, {} trained by another program, {} open; in {}",
        standing.done,
        standing.failed,
        standing.elsewhere,
        standing.open,
        options.out.display()
    );
    Ok(match standing {
        standing if standing.failed > 0 => ExitCode::FAILURE,
        standing if standing.open > 0 => ExitCode::from(130),
        _ => ExitCode::SUCCESS,
    })
}

fn run_report(args: ReportArgs) -> Result<ExitCode> {
    let report = report(&args.folder)?;
    println!("{}", report.tables);
    println!(
        "{} of {} runs done. Look at {}; tables and figures: {}",
        report.done.0,
        report.done.1,
        report.page.display(),
        report.files.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn run_evaluate(args: EvaluateArgs) -> Result<ExitCode> {
    let pool = thread_pool(args.threads.unwrap_or_else(available_threads))?;
    let picture = args.out.unwrap_or_else(|| args.checkpoint.with_extension("png"));
    ensure!(
        !picture.exists() || args.force,
        "{}: is there already; give another file with --out, or --force to replace it",
        picture.display()
    );
    let asked = data_folder(args.data);
    let (settings, evaluation) = pool.install(|| {
        let data = |trained: &Settings| {
            let data = asked.or_else(|| trained.data.clone());
            let data = Data::open(&Settings { data, pictures: None, ..trained.clone() })?;
            println!("Pictures: {}.", data.test.source());
            Ok(data)
        };
        evaluate_file(&args.checkpoint, data, args.device)
    })?;
    println!(
        "mean test loss {:.4} ({:?}, raw), PSNR {:.2} dB (the blurred input: {:.2} dB), {} pictures",
        evaluation.mean_loss,
        settings.loss,
        evaluation.psnr,
        evaluation.input_psnr,
        evaluation.count
    );
    let titles = ["input", "output", "target"].map(str::to_owned);
    let colours =
        |sample: [Vec<f32>; 3]| sample.map(|planes| Picture::colours(&planes, SIDE)).into();
    let rows: Vec<_> = evaluation.samples.into_iter().map(colours).collect();
    samples::write(&picture, &titles, &rows, 160)?;
    println!("pictures: {}", picture.display());
    Ok(ExitCode::SUCCESS)
}
