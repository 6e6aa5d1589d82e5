//! The reproduction: both experiments of the paper, from pictures to figures.

use crate::command::{cargo, root, run, run_to_exit_code};
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// How large.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Scale {
    /// Some minutes: whether everything works.
    Quick,
    /// Some hours: narrow networks, fewer steps and repeats.
    Reduced,
    /// The paper's: months of a processor.
    Paper,
}

/// What to run, on what, and where to.
#[derive(Args)]
pub struct Reproduce {
    /// How large
    #[arg(long, default_value = "quick")]
    scale: Scale,
    /// Folder of CIFAR-10 [default: data/cifar10, which is fetched if it is not there; at the scale
    /// quick it is not fetched: then pictures are made on the spot]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folder of micrographs, with train/ and test/ or without [default: data/stem-crops if it is
    /// there, else lattices made on the spot]
    #[arg(long)]
    micrographs: Option<PathBuf>,
    /// Folder for everything; runs that are finished there are not run again
    /// [default: runs/reproduction-SCALE]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// The sweeps of the supersampling experiment: those of the paper, then the arms that ask why, whose
/// grids lie in `docs/reproduction/`.
const SWEEPS: [&str; 7] =
    ["stability", "squared", "quartic", "unstable", "quartic-unstable", "start", "corrupted"];
const PRESETS: usize = 3;

impl Reproduce {
    /// Data, sweeps and reports, one after the other. Run it again to go on where it was stopped.
    pub fn run(self) -> Result<()> {
        let name = self.scale.to_possible_value().context("a scale has a name")?;
        let name = name.get_name();
        // The programs run in the repository's root; what is given is meant from here.
        let here =
            |path: PathBuf| std::path::absolute(&path).with_context(|| path.display().to_string());
        let out = self.out.map(here).transpose()?;
        let out = out.unwrap_or_else(|| Path::new("runs").join(format!("reproduction-{name}")));
        let downloaded =
            |folder: &str| Some(PathBuf::from(folder)).filter(|f| root().join(f).exists());
        let data = self.data.map(here).transpose()?.or_else(|| downloaded("data/cifar10"));
        let data = match data {
            None if self.scale != Scale::Quick => {
                run(&mut cargo("run --quiet -p xtask -- download cifar10"))?;
                downloaded("data/cifar10")
            }
            data => data,
        };
        let micrographs = self.micrographs.map(here).transpose()?;
        let micrographs = micrographs.or_else(|| downloaded("data/stem-crops"));
        let mut failed = Vec::new();
        run(&mut cargo("build --release -p experiments"))?;
        for (number, sweep) in SWEEPS.iter().enumerate() {
            let grid = if number < PRESETS {
                (*sweep).to_owned()
            } else {
                format!("docs/reproduction/{sweep}.toml")
            };
            let mut command = cargo("run --quiet --release -p experiments --bin supersample --");
            command.args(["sweep", &grid, "--scale", name, "--out"]).arg(out.join(sweep));
            if let Some(data) = &data {
                command.arg("--data").arg(data);
            }
            match run_to_exit_code(&mut command)? {
                0 => {}
                // Runs that fail do not keep the others from being reported.
                1 => failed.push(sweep),
                code => bail!("stopped (exit code {code}); run the same command again to go on"),
            }
            let mut command = cargo("run --quiet --release -p experiments --bin supersample --");
            run(command.arg("report").arg(out.join(sweep)))?;
        }
        let mut command = cargo("run --quiet --release -p experiments --bin partial-stem --");
        command.arg("demo").args(partial_stem(self.scale, micrographs.is_some()));
        if let Some(micrographs) = micrographs {
            command.arg("--data").arg(micrographs);
        }
        run(command.arg("--out").arg(out.join("partial-stem")))?;
        println!("\nLook at:");
        for sweep in SWEEPS {
            println!("  {}", out.join(sweep).join("report.html").display());
        }
        println!("  {}", out.join("partial-stem/completion.png").display());
        ensure!(failed.is_empty(), "runs failed in {failed:?}; the reports there say why");
        Ok(())
    }
}

/// Sizes of the second experiment. On made lattices the demonstration's learning rate is unstable;
/// micrographs are trained on as published.
fn partial_stem(scale: Scale, real: bool) -> impl Iterator<Item = &'static str> {
    let (size, rate) = match scale {
        Scale::Quick => ("--side 96 --divisor 8 --steps 300 --seeds 1", real),
        Scale::Reduced => ("--side 128 --divisor 4 --steps 3000 --seeds 3", real),
        Scale::Paper => ("--side 512 --divisor 1 --steps 500000 --seeds 1", true),
    };
    let rate = if rate { "--lr 3e-4" } else { "" };
    let start = if scale == Scale::Paper { "" } else { "--data-dependent-start" };
    [size, rate, start].into_iter().flat_map(str::split_whitespace)
}
