//! Every check that has to pass before a change lands.

use crate::command::{cargo, root, run};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::time::Instant;

/// One check: what it is for, and how it is done.
type Check = (&'static str, fn() -> Result<()>);

const CHECKS: [Check; 9] = [
    ("the README's test command", || run(&mut cargo("test --workspace"))),
    ("the core's optional features", || run(&mut cargo("test -p alrc-core --all-features"))),
    ("the data sets' feature `hub`", || {
        run(&mut cargo("check -p datasets --tests --features hub"))
    }),
    ("format", || run(&mut cargo("fmt --all --check"))),
    ("lints", || run(&mut cargo("clippy --workspace --all-targets -- --deny warnings"))),
    ("documentation", || {
        let mut command = cargo("doc --workspace --no-deps");
        run(command.env("RUSTDOCFLAGS", "--deny warnings"))
    }),
    ("the core links without std", no_std),
    ("kernels on another processor", another_processor),
    ("the minimum Rust version", minimum_rust),
];

/// Runs them one after the other; the first failure ends it.
pub fn run_all() -> Result<()> {
    for (name, check) in CHECKS {
        println!("\n== {name}");
        let started = Instant::now();
        check().with_context(|| format!("check failed: {name}"))?;
        println!("== {name}: passed in {:.0} s", started.elapsed().as_secs_f64());
    }
    println!("\nAll {} checks passed.", CHECKS.len());
    Ok(())
}

/// A program without `std`, and with `panic = "abort"`, that uses the core.
fn no_std() -> Result<()> {
    let target = root().join("target/no-std");
    run(cargo("build --release --manifest-path xtask/no-std/Cargo.toml")
        .env("CARGO_TARGET_DIR", target))
}

/// The convolutions compile where there is no AVX.
fn another_processor() -> Result<()> {
    const TARGET: &str = "aarch64-unknown-linux-gnu";
    let mut list = std::process::Command::new("rustup");
    let installed = list.args(["target", "list", "--installed"]).output().is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).lines().any(|line| line == TARGET)
    });
    if !installed {
        println!("SKIPPED: the target {TARGET} is not installed (rustup target add {TARGET})");
        return Ok(());
    }
    run(&mut cargo(&format!("check -p candle-conv --target {TARGET}")))
}

/// The stated minimum is no lower than any dependency's, and clippy checks our own code against it;
/// where that toolchain is installed, the published crates are built with it.
fn minimum_rust() -> Result<()> {
    let output = cargo("metadata --format-version 1 --locked").output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let version = |package: &Value| -> Option<Vec<u32>> {
        package["rust_version"].as_str()?.split('.').map(|part| part.parse().ok()).collect()
    };
    let ours = packages.iter().find(|package| package["name"] == "alrc-candle");
    let minimum = ours.and_then(version).context("alrc-candle states a minimum Rust version")?;
    for package in packages {
        if let Some(needed) = version(package).filter(|needed| *needed > minimum) {
            bail!("{} needs Rust {needed:?}; the workspace states {minimum:?}", package["name"]);
        }
    }
    let name = minimum.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    println!("no dependency needs more than Rust {name}");
    let installed = std::process::Command::new("rustup")
        .args(["run", &name, "cargo", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !installed {
        println!("SKIPPED: a build with Rust {name}, which is not installed");
        return Ok(());
    }
    let mut command = std::process::Command::new("rustup");
    command.args(["run", &name, "cargo", "check", "-p", "alrc-core", "-p", "alrc-candle"]);
    run(command.current_dir(root()).env("CARGO_TARGET_DIR", root().join("target/minimum-rust")))
}
