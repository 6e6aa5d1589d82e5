//! The program `partial-stem`, as a user runs it.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use datasets::micrograph::{Micrograph, MicrographFile, range};
use datasets::{lattice, spiral_mask, weight};
use experiments::stem::files::write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn program(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_partial-stem"));
    command.args(arguments.split_whitespace()).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(folder: &Path, arguments: &str) -> Output {
    program(folder, arguments).output().unwrap()
}

fn succeed(folder: &Path, arguments: &str) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fail(folder: &Path, arguments: &str) -> String {
    let output = run(folder, arguments);
    assert!(!output.status.success(), "{arguments}");
    String::from_utf8(output.stderr).unwrap()
}

const SMALL: &str = "train --side 64 --divisor 32 --steps 24 --checkpoint-every 5 --eval-every 8 \
                     --alrc 3 --start-moments estimate --pictures 30 --data-dependent-start";

#[test]
fn interrupted_and_resumed_runs_equal_whole_ones() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(folder, &format!("{SMALL} --out whole --threads 2"));
    let mut child = program(folder, &format!("{SMALL} --out parts --threads 1")).spawn().unwrap();
    let checkpoint = folder.join("parts/checkpoint.safetensors");
    while !checkpoint.exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended without a checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    succeed(folder, "train --resume --out parts");
    for name in ["metrics.csv", "checkpoint.safetensors", "config.toml", "evaluations.csv"] {
        let read = |run: &str| std::fs::read(folder.join(run).join(name)).unwrap();
        assert!(read("whole") == read("parts"), "{name}");
    }
    let rows = std::fs::read_to_string(folder.join("whole/metrics.csv")).unwrap();
    assert!(rows.lines().next().unwrap().contains("outer_raw") && rows.lines().count() == 25);
    assert!(rows.lines().next().unwrap().contains("inner_upper"));
    assert!(!rows.contains("NaN") && !rows.contains("inf"), "{rows}");

    let error = fail(folder, "train --resume --out whole --side 96");
    assert!(error.contains("side is 64, not 96"), "{error}");
    let error = fail(folder, &format!("{SMALL} --out whole"));
    assert!(error.contains("holds a run already"), "{error}");
    assert!(fail(folder, "train --out x --side 33").contains("multiple of 32"));
    assert!(fail(folder, "train --out x --divisor 3").contains("divisor 3"));
    assert!(fail(folder, "train --out x --data nowhere").contains("nowhere"));
}

#[test]
fn masks_are_written_in_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["png", "tif", "npy"] {
        let text =
            succeed(folder.path(), &format!("mask --coverage 1/20 --side 512 --out m.{kind}"));
        assert!(text.contains("1/22.1") && text.contains("17.46 %"), "{text}");
    }
    for kind in ["tif", "npy"] {
        let file = MicrographFile::open(&folder.path().join(format!("m.{kind}"))).unwrap();
        let expected = spiral_mask(512, 1.0 / 20.0);
        for (found, expected) in file.read(0).unwrap().pixels().iter().zip(expected) {
            assert_eq!(*found, weight(expected));
        }
    }
    let error = fail(folder.path(), "mask --coverage 1/0 --out m.png");
    assert!(error.contains("1/20"), "{error}");
}

#[test]
fn truths_and_scans_are_completed_at_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(folder, &format!("{SMALL} --out run"));
    // A truth, larger than what was trained on, whose sides do not divide by 32.
    let square = lattice(100, 1, 1);
    let truth = Micrograph::new(80, 100, square.pixels()[..8_000].to_vec());
    write(&folder.join("truth.tif"), &truth, (0.0, 1.0)).unwrap();
    let complete = "complete --checkpoint run/checkpoint.safetensors --out done --input";
    let text = succeed(folder, &format!("{complete} truth.tif --coverage 1/10"));
    for word in ["80x100", "network", "harmonic", "nearest", "RMS error"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let read = |name: &str| MicrographFile::open(&folder.join(name)).unwrap().read(0).unwrap();
    let completed = read("done/truth-completed.tif");
    assert_eq!((completed.height(), completed.width()), (80, 100));
    assert!(folder.join("done/truth-completed.png").exists());
    let error = fail(folder, &format!("{complete} truth.tif"));
    assert!(error.contains("--force"), "{error}");

    // A scan in other units gives the same picture in these units.
    let mask: Vec<f32> = spiral_mask(64, 0.1).into_iter().map(weight).collect();
    write(&folder.join("mask.npy"), &Micrograph::new(64, 64, mask.clone()), (0.0, 1.0)).unwrap();
    let scan = |scale: f32, shift: f32| {
        let truth = lattice(64, 1, 2);
        let pixels = truth.pixels().iter().zip(&mask).map(|(x, &mask)| {
            if mask > 0.0 { x * scale + shift } else { -7e9 } // unseen pixels do not count
        });
        Micrograph::new(64, 64, pixels.collect())
    };
    for (name, scale, shift) in [("a", 1.0, 0.0), ("b", 0.25, 512.0)] {
        write(&folder.join(format!("{name}.tif")), &scan(scale, shift), (0.0, 1.0)).unwrap();
        succeed(folder, &format!("{complete} {name}.tif --mask mask.npy"));
    }
    let (a, b) = (read("done/a-completed.tif"), read("done/b-completed.tif"));
    let (_, half) = range(b.pixels());
    for (a, b) in a.pixels().iter().zip(b.pixels()) {
        assert!((f64::from(a * 0.25 + 512.0 - b)).abs() < 1e-3 * half.max(1.0), "{a} {b}");
    }
    let error = fail(folder, &format!("{complete} truth.tif --force --mask mask.npy"));
    assert!(error.contains("64x64") && error.contains("80x100"), "{error}");
}

/// Peak memory of a training in KiB.
#[cfg(target_os = "linux")]
fn peak(folder: &Path, arguments: &str) -> u64 {
    let mut child = program(folder, arguments).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let line = status.unwrap_or_default();
        let line = line.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok())
        {
            peak = peak.max(kib);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(child.wait().unwrap().success(), "{arguments}");
    peak
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_of_many_files_is_not_held_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = folder.join("one.tif");
    write(&file, &lattice(512, 1, 1), (0.0, 1.0)).unwrap(); // 1 MB; 2,000 would be 2 GB
    for (name, count) in [("few", 5), ("many", 2_000)] {
        std::fs::create_dir(folder.join(name)).unwrap();
        for number in 0..count {
            let link = folder.join(name).join(format!("{number}.tif"));
            std::os::unix::fs::symlink(&file, link).unwrap();
        }
    }
    let train = "train --side 512 --divisor 32 --steps 6 --threads 1 --data";
    let few = peak(folder, &format!("{train} few --out a"));
    let many = peak(folder, &format!("{train} many --out b"));
    assert!(many < few + 30_000, "{few} KiB for 5 files, {many} KiB for 2,000");
}

#[test]
fn a_damaged_file_ends_the_run_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("data")).unwrap();
    for name in ["a", "b", "c"] {
        write(&folder.join(format!("data/{name}.tif")), &lattice(32, 1, 1), (0.0, 1.0)).unwrap();
    }
    let path = folder.join("data/b.tif");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3_000]).unwrap();
    let train = "train --side 32 --divisor 32 --steps 9 --out run --data data";
    let error = fail(folder, train);
    assert!(error.contains("b.tif"), "{error}");
    std::fs::remove_file(&path).unwrap();
    write(&path, &lattice(16, 1, 1), (0.0, 1.0)).unwrap();
    let error = fail(folder, train.replace("run", "again").as_str());
    assert!(error.contains("b.tif") && error.contains("16x16"), "{error}");
    let text = succeed(folder, &format!("{} --skip-small", train.replace("run", "third")));
    assert!(text.contains("without 1 smaller picture"), "{text}");
}

#[test]
fn a_broken_run_ends_as_diverged_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let train = "train --side 32 --divisor 32 --steps 500 --lr 1e6 --alrc none --out run";
    let text = succeed(folder.path(), train);
    assert!(text.contains("diverged at step") && text.contains("--alrc 3"), "{text}");
    let rows = std::fs::read_to_string(folder.path().join("run/metrics.csv")).unwrap();
    assert!(rows.lines().count() < 300, "it ends after 100 skipped steps");
    // The weights of the last step that was taken are kept, and say that they are of no use.
    let square = lattice(32, 1, 1);
    write(&folder.path().join("truth.tif"), &square, (0.0, 1.0)).unwrap();
    let error = fail(
        folder.path(),
        "complete --checkpoint run/checkpoint.safetensors --input truth.tif --out done",
    );
    assert!(error.contains("not finite"), "{error}");
}
