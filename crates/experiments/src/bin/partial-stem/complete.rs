//! `partial-stem complete`.

use super::arguments::CompleteArgs;
use super::open_checkpoint;
use anyhow::{Context, Result, ensure};
use candle_core::Device;
use datasets::blur;
use datasets::micrograph::{Micrograph, MicrographFile, normalize, range};
use experiments::device::{available_threads, thread_pool};
use experiments::stem::files::{read_mask, write};
use experiments::stem::{
    Generator, MeanSquare, Partial, Settings, harmonic, known, mask_for, nearest,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub fn run(args: CompleteArgs) -> Result<ExitCode> {
    let (settings, generator) = open_checkpoint(&args.checkpoint)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("{}: cannot be made", args.out.display()))?;
    let pool = thread_pool(args.threads.unwrap_or_else(available_threads))?;
    let work = plan(&args)?;
    for Work { file, page, input, paths } in &work {
        let picture = file.read(*page)?;
        pool.install(|| one(&args, &settings, &generator, input, picture, paths))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A picture to complete, and the files to write.
struct Work {
    file: MicrographFile,
    page: usize,
    input: PathBuf,
    paths: [PathBuf; 2],
}

/// All pictures; an error before any work if a result would replace a file or another result.
fn plan(args: &CompleteArgs) -> Result<Vec<Work>> {
    let (mut work, mut taken) = (Vec::new(), HashSet::new());
    for input in &args.input {
        let file = MicrographFile::open(input)?;
        let name = input.file_stem().unwrap_or_default().to_string_lossy();
        for page in 0..file.pages().len() {
            let page_name =
                if file.pages().len() == 1 { String::new() } else { format!("-{page}") };
            let name = format!("{name}{page_name}-completed");
            let paths = ["tif", "png"].map(|kind| args.out.join(format!("{name}.{kind}")));
            ensure!(
                taken.insert(name),
                "{}: two inputs would be completed to this file; give them in two calls, with \
                 different folders as --out",
                paths[0].display()
            );
            for path in &paths {
                ensure!(
                    args.force || !path.exists(),
                    "{}: is there already; give another folder with --out, or --force to replace it",
                    path.display()
                );
            }
            work.push(Work { file: file.clone(), page, input: input.clone(), paths });
        }
    }
    Ok(work)
}

/// Pixels along the longer side of a picture for which a spiral is made.
const LONGEST: usize = 1 << 14;

fn one(
    args: &CompleteArgs,
    settings: &Settings,
    generator: &Generator,
    input: &Path,
    mut picture: Micrograph,
    paths: &[PathBuf; 2],
) -> Result<()> {
    let size = (picture.height(), picture.width());
    ensure!(
        size.0.min(size.1) >= 3,
        "{}: {}x{} pixels; expected 3 or more",
        input.display(),
        size.0,
        size.1
    );
    let partial = match &args.mask {
        Some(path) => {
            let mask = read_mask(path, size)?;
            let seen = || picture.pixels().iter().zip(&mask).filter(|(_, mask)| **mask > 0);
            ensure!(seen().count() > 0, "{}: the mask is 0 everywhere", path.display());
            let broken = seen().filter(|(x, _)| !x.is_finite()).count();
            ensure!(
                broken == 0,
                "{}: {broken} scanned pixels (mask {}) are not finite; expected numbers: is it this \
                 scan's mask?",
                input.display(),
                path.display()
            );
            Partial::of_scan(&picture, mask)
        }
        None => {
            ensure!(
                size.0.max(size.1) <= LONGEST,
                "{}: {}x{} pixels; a spiral is made for at most {LONGEST}: give the scan and its --mask",
                input.display(),
                size.0,
                size.1
            );
            if let Some(replaced @ 1..) = picture.fill_non_finite() {
                println!(
                    "{}: {replaced} pixels that are not finite become the mean of the others",
                    input.display()
                );
            }
            let coverage = args.coverage.as_ref().unwrap_or(&settings.coverage);
            let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
            let noise = settings.noise.then_some(&mut rng);
            Partial::of_truth(&picture, mask_for(size, coverage.value()), noise)
        }
    };
    let started = std::time::Instant::now();
    let completed = partial.complete(generator, &Device::Cpu)?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(
        completed.iter().all(|x| x.is_finite()),
        "{}: the network gives numbers that are not finite; has its training diverged? Give another \
         checkpoint",
        args.checkpoint.display()
    );
    let in_units = partial.in_its_units(&completed);
    let (middle, half) = range(in_units.pixels());
    let black_and_white = ((middle - half) as f32, (middle + half) as f32);
    for path in paths {
        write(path, &in_units, black_and_white)?;
    }
    println!(
        "{}: {}x{} in {seconds:.2} s: {} (and .png)",
        input.display(),
        size.0,
        size.1,
        paths[0].display()
    );
    if args.mask.is_none() {
        report(&partial, &picture, &completed);
    }
    Ok(())
}

/// The errors of the network and of the plain methods, where the truth is known.
fn report(partial: &Partial, picture: &Micrograph, completed: &[f32]) {
    let mut truth = picture.pixels().to_vec();
    let found = range(&truth);
    normalize(&mut truth, found);
    let blurred = blur(&truth, picture.height(), picture.width());
    let (scan, mask) = partial.scan();
    let known = known(scan, mask);
    let width = picture.width();
    for (name, numbers) in [
        ("network", completed.to_vec()),
        ("harmonic fill", harmonic(&known, width)),
        ("nearest scanned pixel", nearest(&known, width)),
    ] {
        let rms = |expected: &[f32]| {
            let mut square = MeanSquare::default();
            square.add(&numbers, expected);
            square.rms_percent()
        };
        println!(
            "  {name}: RMS error {:.2} % of the range against the blurred truth, {:.2} % against the truth",
            rms(&blurred),
            rms(&truth)
        );
    }
}
