//! Sweeps are stopped, resumed, shared and moved without a difference to the runs; reports hide nothing.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_supersample");

fn grid(folder: &Path, steps: u32) -> PathBuf {
    let path = folder.join("grid.toml");
    let text = format!(
        "repeats = 2\n[settings]\nwidth = 4\npictures = 20\nsteps = {steps}\ncheckpoint_every = 10\n\
         batch = [1, 2]\nalrc = [\"none\", 2]\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn sweep(grid: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("sweep").arg(grid).arg("--out").arg(out).args(more);
    command.current_dir(grid.parent().unwrap()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn report(out: &Path) -> Output {
    Command::new(PROGRAM).arg("report").arg(out).output().unwrap()
}

/// The bytes of what must agree between sweeps, by run and file.
fn results(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for run in std::fs::read_dir(out).unwrap() {
        let run = run.unwrap().path();
        for name in ["metrics.csv", "checkpoint.safetensors", "config.toml", "curve.csv"] {
            if let Ok(bytes) = std::fs::read(run.join(name)) {
                let run = run.file_name().unwrap().to_string_lossy().into_owned();
                files.insert(format!("{run}/{name}"), bytes);
            }
        }
    }
    files
}

fn equal(a: &Path, b: &Path) {
    let (a, b) = (results(a), results(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(bytes == &b[name], "{name} differs");
    }
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let grid = grid(folder.path(), 60);
    (folder, grid)
}

#[test]
fn killed_sweeps_resume_and_numbers_do_not_depend_on_jobs() {
    let (folder, grid) = folder();
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    let text = run(&mut sweep(&grid, &whole, &["--jobs", "2"]));
    assert!(text.contains("8 runs, 0 done, 8 to do") && text.contains("2 side by side"), "{text}");
    assert!(text.contains("seconds, by the time of a few steps"), "{text}");
    assert!(text.contains("8 done, 0 failed"), "{text}");
    let summaries = |out: &Path| -> usize {
        std::fs::read_dir(out).map_or(0, |runs| {
            runs.filter(|run| run.as_ref().unwrap().path().join("summary.json").exists()).count()
        })
    };
    for wanted in [1, 4, 6] {
        let mut child = sweep(&grid, &killed, &["--jobs", "1"]).spawn().unwrap();
        while summaries(&killed) < wanted && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(summaries(&killed) < 8, "killed too late");
    run(&mut sweep(&grid, &killed, &[]));
    equal(&whole, &killed);

    // A third time there is nothing to do.
    let text = run(&mut sweep(&grid, &killed, &[]));
    assert!(text.contains("8 runs, 8 done, 0 to do"), "{text}");
}

#[test]
fn two_sweeps_on_one_folder_share_the_work() {
    let (folder, grid) = folder();
    let [alone, shared, shards] =
        ["alone", "shared", "shards"].map(|name| folder.path().join(name));
    run(&mut sweep(&grid, &alone, &[]));
    let children = [(); 3].map(|()| sweep(&grid, &shared, &["--jobs", "1"]).spawn().unwrap());
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains(" 0 failed"), "{text}");
    }
    // Whichever program trained a run, nothing is lost and nothing done twice at once.
    run(&mut sweep(&grid, &shared, &[]));
    equal(&alone, &shared);

    for shard in ["2/3", "1/3", "3/3"] {
        run(&mut sweep(&grid, &shards, &["--shard", shard]));
    }
    equal(&alone, &shards);
}

#[test]
fn small_files_alone_carry_finished_runs() {
    let (folder, grid) = folder();
    let out = folder.path().join("out");
    run(&mut sweep(&grid, &out, &[]));
    for path in results(&out).keys() {
        if path.ends_with("metrics.csv") || path.ends_with("safetensors") {
            std::fs::remove_file(out.join(path)).unwrap();
        }
    }
    let before = results(&out);
    let text = run(&mut sweep(&grid, &out, &[]));
    assert!(text.contains("8 done, 0 to do"), "{text}");
    assert_eq!(results(&out), before);
    assert!(report(&out).status.success());
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("No pictures: no checkpoint is in the folders"), "no word of pictures");
}

#[test]
fn failed_and_missing_runs_are_recorded_and_do_not_stop_the_rest() {
    let (folder, grid) = folder();
    let out = folder.path().join("out");
    run(&mut sweep(&grid, &out, &["--shard", "1/2"]));
    let name = |batch, arm| {
        format!("squared-adam-lr7.8125e-4-b{batch}-{arm}-width4-steps60-pictures20-seed1")
    };
    let damaged = out.join(name(1, "none"));
    std::fs::write(damaged.join("checkpoint.safetensors"), "rubbish").unwrap();
    let summary = damaged.join("summary.json");
    let text = std::fs::read_to_string(&summary).unwrap();
    std::fs::write(&summary, text.replace("finished", "running")).unwrap();
    std::fs::remove_dir_all(out.join(name(2, "none"))).unwrap();

    let output = sweep(&grid, &out, &["--shard", "1/2"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success());
    assert!(text.contains("FAILED") && text.contains("checkpoint.safetensors"), "{text}");
    assert!(text.contains("3 done, 1 failed, 0 trained by another program, 0 open"), "{text}");

    let output = report(&out);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("3 of 8 runs done"), "{text}");
    assert!(text.contains("(0 of 2 done)") && text.contains("| without ALRC |"), "{text}");
    let lines = std::fs::read_to_string(out.join("report/runs.csv")).unwrap();
    let state = |state: &str| lines.lines().filter(|line| line.contains(state)).count();
    assert_eq!((state(",finished,"), state(",failed,"), state(",missing,")), (3, 1, 4), "{lines}");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for part in ["1 failed, 4 missing", "cut short or no safetensors file", "has not begun", "<svg"]
    {
        assert!(page.contains(part), "{part}");
    }
    // It needs no other file: no address, no path of a script, style or picture.
    for part in ["href=", "src=\"http", "url(", "<script", "@import"] {
        assert!(!page.contains(part), "{part}");
    }

    std::fs::remove_dir_all(&damaged).unwrap();
    run(&mut sweep(&grid, &out, &[]));
    let text = String::from_utf8(report(&out).stdout).unwrap();
    assert!(text.contains("8 of 8 runs done") && text.contains("### Significance"), "{text}");
}

#[test]
fn errors_say_what_to_do() {
    let (folder, grid) = folder();
    let out = folder.path().join("out");
    let refused = |command: &mut Command, words: &[&str]| {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && words.iter().all(|word| text.contains(word)), "{text}");
    };
    refused(sweep(Path::new("/no/such.toml"), &out, &[]).current_dir("/"), &["presets", "squared"]);
    refused(&mut sweep(&grid, &out, &["--shard", "3/2"]), &["3/2", "1/8"]);
    refused(&mut sweep(&grid, &out, &["--jobs", "0"]), &["--jobs"]);
    refused(&mut sweep(&grid, &out, &["--data", "/no/such"]), &["/no/such", "download"]);
    run(&mut sweep(&grid, &out, &["--scale", "quick"]));
    refused(&mut sweep(&grid, &out, &[]), &["sweep.toml", "belongs to another sweep", "--out"]);
    std::fs::write(&grid, "[settings]\nbatsh = 1\n").unwrap();
    refused(&mut sweep(&grid, &out, &[]), &["batsh", "learning_rate"]);
    std::fs::write(&grid, "[settings\n").unwrap();
    refused(&mut sweep(&grid, &out, &[]), &["grid.toml", "line 1"]);
    let output = report(folder.path());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("no runs in it"), "{text}");
}
