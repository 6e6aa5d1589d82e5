//! Run folders under fault: nothing is lost, and each message says where and what to do.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use candle_core::Tensor;
use experiments::checkpoint::Checkpoint;
use experiments::supersample::Settings;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use test_data::Mount;

const PROGRAM: &str = env!("CARGO_BIN_EXE_supersample");

fn train(out: &Path, more: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("train").arg("--out").arg(out).args(more.split_whitespace());
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

const SMALL: &str = "--width 4 --batch 1 --pictures 10 --checkpoint-every 5 --threads 1";

fn refused(command: &mut Command, words: &[&str]) {
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{message}");
    assert!(words.iter().all(|word| message.contains(word)), "{words:?} not all in: {message}");
}

fn good(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn small_run(steps: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    good(&mut train(&out, &format!("{SMALL} --steps {steps}")));
    (folder, out)
}

fn read(path: &Path) -> Result<Checkpoint<Settings>, String> {
    Checkpoint::read(path).map_err(|error| format!("{error:#}"))
}

fn bits(tensor: &Tensor) -> Vec<u8> {
    let bytes = |tensor: &Tensor| -> candle_core::Result<Vec<u8>> {
        let tensor = tensor.flatten_all()?;
        Ok(match tensor.dtype() {
            candle_core::DType::F32 => {
                tensor.to_vec1::<f32>()?.iter().flat_map(|x| x.to_le_bytes()).collect()
            }
            candle_core::DType::F64 => {
                tensor.to_vec1::<f64>()?.iter().flat_map(|x| x.to_le_bytes()).collect()
            }
            _ => tensor.to_vec1::<i64>()?.iter().flat_map(|x| x.to_le_bytes()).collect(),
        })
    };
    bytes(tensor).unwrap()
}

#[test]
fn checkpoints_cut_short_or_with_a_flipped_bit() {
    let (_folder, out) = small_run(10);
    let path = out.join("checkpoint.safetensors");
    let good = std::fs::read(&path).unwrap();
    let whole = read(&path).unwrap();
    let cuts: Vec<usize> = (0..good.len()).step_by(1_000).chain([good.len() - 1]).collect();
    assert!(cuts.len() > 20, "{} bytes", good.len());
    for length in cuts {
        std::fs::write(&path, &good[..length]).unwrap();
        let error = read(&path).unwrap_err();
        let says = |words: &[&str]| words.iter().all(|word| error.contains(word));
        assert!(
            says(&["checkpoint.safetensors", "cut short", "give another checkpoint"]),
            "{error}"
        );
    }
    // Bits of the header, of its length, and of the tensors.
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let in_header = (0..header * 8).step_by(41);
    let in_tensors = (header * 8..good.len() * 8).step_by(good.len() * 8 / 500);
    let mut found = 0;
    for bit in in_header.chain(in_tensors) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, bad).unwrap();
        match read(&path) {
            Err(error) => {
                assert!(error.contains("checkpoint.safetensors"), "{error}");
                found += 1;
            }
            // A bit without meaning, in the white space of the header.
            Ok(read) => {
                assert_eq!((read.progress, &read.settings), (whole.progress, &whole.settings));
                for (name, tensor) in &whole.tensors {
                    assert_eq!(bits(tensor), bits(&read.tensors[name]), "bit {bit}: {name}");
                }
            }
        }
    }
    assert!(found > 600, "{found}");
}

#[test]
fn a_full_disk_keeps_the_last_good_checkpoint() {
    // Two checkpoints of this width are 300 kB: the first fits, its successor beside it does not.
    let Some(disk) = Mount::or_skip("size=420k") else { return };
    let out = disk.path().join("run");
    good(&mut train(&out, &format!("{SMALL} --steps 5")));
    let path = out.join("checkpoint.safetensors");
    let before = std::fs::read(&path).unwrap();
    let room = 420 * 1024 - before.len();
    std::fs::write(disk.path().join("others"), vec![0; room - before.len() / 2]).unwrap();
    refused(
        &mut train(&out, "--resume --steps 20 --threads 1"),
        &["checkpoint.safetensors", "cannot be written", "unchanged", "disk's space"],
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");

    // With room again it goes on, and ends as a run that was never stopped.
    std::fs::remove_file(disk.path().join("others")).unwrap();
    good(&mut train(&out, "--resume --steps 20 --threads 1"));
    let (_folder, whole) = small_run(20);
    for name in ["checkpoint.safetensors", "metrics.csv"] {
        let [a, b] = [&out, &whole].map(|run| std::fs::read(run.join(name)).unwrap());
        assert!(a == b, "{name} differs");
    }
}

#[test]
fn a_disk_that_is_full_from_the_start() {
    let Some(disk) = Mount::or_skip("size=16k") else { return };
    std::fs::write(disk.path().join("others"), vec![0; 16 * 1024]).unwrap();
    let out = disk.path().join("run");
    refused(&mut train(&out, &format!("{SMALL} --steps 5")), &["run", "cannot be"]);
}

#[test]
fn a_read_only_disk() {
    let Some(disk) = Mount::or_skip("size=4m") else { return };
    let out = disk.path().join("run");
    good(&mut train(&out, &format!("{SMALL} --steps 5")));
    let before = std::fs::read(out.join("checkpoint.safetensors")).unwrap();
    disk.remount("ro");
    refused(&mut train(&out, "--resume --steps 20"), &["metrics.csv", "Read-only", "permission"]);
    let new = disk.path().join("new");
    refused(&mut train(&new, &format!("{SMALL} --steps 5")), &["new", "Read-only", "--out"]);
    assert_eq!(std::fs::read(out.join("checkpoint.safetensors")).unwrap(), before);
}
