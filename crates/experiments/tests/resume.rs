//! Runs that are killed and resumed equal runs that were never interrupted, byte for byte.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_supersample");

fn train(out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("train").arg("--out").arg(out).args(more);
    command.current_dir(out.parent().unwrap()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn small(steps: u32) -> Vec<String> {
    let text = format!(
        "--width 4 --batch 2 --pictures 20 --steps {steps} --checkpoint-every 7 --eval-every 10 \
         --alrc 2 --start-moments estimate --loss quartic"
    );
    text.split_whitespace().map(str::to_owned).collect()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The files whose bytes must agree; the summary's seconds differ.
fn results(folder: &Path) -> Vec<(String, Vec<u8>)> {
    ["metrics.csv", "checkpoint.safetensors", "config.toml", "evaluations.csv"]
        .map(|name| (name.to_owned(), std::fs::read(folder.join(name)).unwrap()))
        .into()
}

fn equal(a: &Path, b: &Path) {
    for ((name, one), (_, other)) in results(a).into_iter().zip(results(b)) {
        assert!(one == other, "{name} differs between {} and {}", a.display(), b.display());
    }
}

/// A whole number below `most`, from the clock: kills are to come at any moment.
fn random(most: u32) -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.subsec_nanos() / 7 % most
}

#[test]
fn killed_at_any_moment_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let arguments = small(300);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let started = Instant::now();
    run(train(&whole, &arguments).args(["--threads", "2"]));
    let duration = started.elapsed();

    let again = folder.path().join("again");
    run(train(&again, &arguments).args(["--threads", "1"]));
    equal(&whole, &again);

    let killed = folder.path().join("killed");
    let mut kills = 0;
    let mut resume = false;
    loop {
        let threads = if kills % 2 == 0 { "1" } else { "2" };
        let mut command = train(&killed, if resume { &["--resume"] } else { &arguments });
        let mut child = command.args(["--threads", threads]).spawn().unwrap();
        let patience = duration.mul_f64(0.05 + 0.2 * f64::from(random(1_000)) / 1_000.0);
        let deadline = Instant::now() + patience;
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                break true;
            }
            if Instant::now() > deadline && kills < 8 {
                child.kill().unwrap();
                child.wait().unwrap();
                break false;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        if ended {
            break;
        }
        kills += 1;
        resume = killed.join("config.toml").exists();
    }
    println!("killed {kills} times");
    assert!(kills >= 2, "the run was too short to be killed: {kills}");
    equal(&whole, &killed);
}

#[test]
fn stopped_by_the_user_and_resumed_with_more_steps() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let arguments = small(60);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&mut train(&whole, &arguments));

    let stopped = folder.path().join("stopped");
    let many = small(1_000_000);
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let child = train(&stopped, &many).spawn().unwrap();
    while !stopped.join("summary.json").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("go on with: supersample train --resume --out"), "{text}");
    let summary = std::fs::read_to_string(stopped.join("summary.json")).unwrap();
    assert!(summary.contains("\"outcome\": \"interrupted\""), "{summary}");

    let short = folder.path().join("short");
    run(&mut train(&short, &small(30).iter().map(String::as_str).collect::<Vec<_>>()));
    run(&mut train(&short, &["--resume", "--steps", "60"]));
    equal(&whole, &short);
}

fn refused(command: &mut Command, words: &[&str]) {
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.iter().all(|word| message.contains(word)), "{words:?} not all in: {message}");
}

fn small_run() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    run(&mut train(&out, &small(12).iter().map(String::as_str).collect::<Vec<_>>()));
    (folder, out)
}

#[test]
fn nothing_is_overwritten_and_errors_say_what_to_do() {
    let (folder, out) = small_run();
    let before = results(&out);
    refused(&mut train(&out, &["--steps", "5"]), &["holds a run already", "--resume", "--out"]);
    refused(
        &mut train(&out, &["--resume", "--seed", "9", "--batch", "3"]),
        &["seed is 1, not 9", "batch is 2, not 3", "leave these flags out"],
    );
    let nowhere = folder.path().join("nowhere");
    refused(&mut train(&nowhere, &["--resume"]), &["nowhere", "no run to resume"]);
    refused(&mut train(&nowhere, &["--batch", "0"]), &["batch 0", "expected 1 to"]);
    refused(&mut train(&nowhere, &["--alrc", "-1"]), &["-1", "none"]);
    refused(&mut train(&nowhere, &["--start-moments", "25,600"]), &["600", "mu2 >= mu1^2"]);
    refused(&mut train(&nowhere, &["--data", "/no/such"]), &["/no/such", "download"]);
    assert_eq!(results(&out), before);

    let config = out.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("batch = 2", "batch = 2\nbatsh = 3")).unwrap();
    refused(&mut train(&out, &["--resume"]), &["config.toml", "batsh"]);
    std::fs::write(&config, text.replace("width = 4", "width = 5")).unwrap();
    refused(&mut train(&out, &["--resume"]), &["checkpoint.safetensors", "shape", "width"]);
    std::fs::write(&config, text).unwrap();

    refused(&mut train(&out, &["--resume", "--steps", "5"]), &["12 steps are done", "--out"]);
    let checkpoint = out.join("checkpoint.safetensors");
    let bytes = std::fs::read(&checkpoint).unwrap();
    std::fs::remove_file(&checkpoint).unwrap();
    refused(&mut train(&out, &["--resume"]), &["checkpoint.safetensors", "is missing", "12 steps"]);
    assert!(!std::fs::read(out.join("metrics.csv")).unwrap().is_empty());
    std::fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    refused(&mut train(&out, &["--resume"]), &["checkpoint.safetensors", "cut short"]);
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&checkpoint, flipped).unwrap();
    refused(&mut train(&out, &["--resume"]), &["checkpoint.safetensors", "damaged"]);
}

#[test]
fn a_broken_run_ends_as_diverged() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let arguments = "--width 4 --batch 1 --pictures 5 --steps 500 --optimizer sgd --lr 100 \
                     --no-squash --alrc none";
    let output = run(&mut train(&out, &arguments.split_whitespace().collect::<Vec<_>>()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("diverged at step") && text.contains("learning rate"), "{text}");
    let summary = std::fs::read_to_string(out.join("summary.json")).unwrap();
    assert!(summary.contains("\"outcome\": \"diverged\""), "{summary}");
    assert!(summary.contains("\"skipped_total\": 100"), "{summary}");
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    let last = metrics.lines().last().unwrap();
    assert!(last.contains(",,,,,,1,100"), "{last}"); // skipped; the clipping's columns are blank
}

#[test]
fn evaluation_of_a_checkpoint() {
    let (_folder, out) = small_run();
    let checkpoint = out.join("checkpoint.safetensors");
    let evaluate = || {
        let mut command = Command::new(PROGRAM);
        command.arg("evaluate").arg(&checkpoint).current_dir(&out);
        command
    };
    let text = String::from_utf8(run(&mut evaluate()).stdout).unwrap();
    assert!(text.contains("mean test loss") && text.contains("PSNR"), "{text}");
    let picture = std::fs::read(out.join("checkpoint.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    refused(&mut evaluate(), &["checkpoint.png", "--force"]);
    run(evaluate().arg("--force"));
}
