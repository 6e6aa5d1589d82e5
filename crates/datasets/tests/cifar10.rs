//! Reading CIFAR-10: good files, and every kind of bad one.
#![allow(clippy::unwrap_used)]

use datasets::cifar10::{Split, class_names, open};
use datasets::{Pictures, SIZE};
use std::path::{Path, PathBuf};

const RECORD: usize = SIZE + 1;

/// A small data set: two records a file, whose bytes tell file and record.
fn write(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for number in 1..=6_u8 {
        let record = |i: u8| [vec![number], vec![10 * number + i; SIZE]].concat();
        let bytes = [record(0), record(1)].concat();
        std::fs::write(folder.join(name(number)), bytes).unwrap();
    }
    let names = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
    std::fs::write(folder.join("batches.meta.txt"), names).unwrap();
}

fn name(number: u8) -> String {
    if number == 6 { "test_batch.bin".into() } else { format!("data_batch_{number}.bin") }
}

struct Set {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn set() -> Set {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cifar-10-batches-bin");
    write(&path);
    Set { _folder: folder, path }
}

impl Set {
    fn train(&self) -> Result<Pictures, String> {
        open(&self.path, Split::Train).map_err(|error| error.to_string())
    }

    /// Replaces a file; the message must have every one of these words, and the file's path.
    fn refused(&self, file: &str, bytes: &[u8], words: &[&str]) {
        let path = self.path.join(file);
        std::fs::write(&path, bytes).unwrap();
        let message = self.train().unwrap_err();
        for word in words.iter().chain([&path.display().to_string().as_str(), &"download"]) {
            assert!(message.contains(word), "no {word:?} in: {message}");
        }
    }
}

#[test]
fn subsets_load_and_say_so() {
    let set = set();
    for folder in [set.path.as_path(), set.path.parent().unwrap()] {
        let train = open(folder, Split::Train).unwrap();
        assert_eq!(train.labels(), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
        assert_eq!(train.pixels()[3], [21; SIZE]);
        assert!(train.source().contains("10 training pictures (a subset)"), "{}", train.source());
        assert!(!train.is_complete());
        let test = open(folder, Split::Test).unwrap();
        assert_eq!((test.labels(), test.len()), ([6, 6].as_slice(), 2));
    }
}

#[test]
fn a_full_set_is_told_from_a_subset() {
    let set = set();
    for number in 1..=5 {
        std::fs::write(set.path.join(name(number)), vec![0; 10_000 * RECORD]).unwrap();
    }
    let train = set.train().unwrap();
    assert!(
        train.is_complete() && train.source().contains("50000 training pictures (the full set)")
    );
}

#[test]
fn carriage_returns_and_empty_lines_in_the_class_names() {
    let set = set();
    let text = "airplane\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\ni\r\ntruck\r\n\r\n\r\n";
    std::fs::write(set.path.join("batches.meta.txt"), text).unwrap();
    let names = class_names(&set.path).unwrap();
    assert_eq!((names[0].as_str(), names[9].as_str(), names.len()), ("airplane", "truck", 10));
    set.refused("batches.meta.txt", b"a\nb\n", &["2 class names", "expected 10"]);
}

#[test]
fn a_missing_file() {
    let set = set();
    let path = set.path.join("data_batch_4.bin");
    std::fs::remove_file(&path).unwrap();
    let message = set.train().unwrap_err();
    assert!(message.contains(&path.display().to_string()) && message.contains("download"));
}

#[test]
fn a_missing_folder() {
    let message = open(Path::new("/no/such/folder"), Split::Test).unwrap_err().to_string();
    assert!(message.contains("/no/such/folder") && message.contains("download"), "{message}");
}

#[test]
fn an_empty_file() {
    set().refused("data_batch_2.bin", b"", &["empty", "3073"]);
}

#[test]
fn a_file_cut_short_and_a_file_with_more() {
    let words = ["left over", "whole number of records"];
    set().refused("data_batch_2.bin", &[0; 2 * RECORD - 1], &words);
    set().refused("data_batch_2.bin", &[0; 2 * RECORD + 1], &words);
    set().refused("data_batch_5.bin", b"<html>not found</html>", &words);
}

#[test]
fn a_label_over_nine() {
    let mut bytes = vec![0; 3 * RECORD];
    bytes[2 * RECORD] = 255;
    set().refused("data_batch_3.bin", &bytes, &["record 2", "byte 6146", "label 255", "0 to 9"]);
}

#[test]
fn cifar_100() {
    set().refused("data_batch_1.bin", &[0; 5 * 3074], &["CIFAR-100", "3074"]);
}

#[test]
fn the_real_subset() {
    let Some(folder) = test_data::cifar10_or_skip("the_real_subset") else {
        return;
    };
    let train = open(&folder, Split::Train).unwrap();
    let test = open(&folder, Split::Test).unwrap();
    println!("{}\n{}", train.source(), test.source());
    for pictures in [train, test] {
        // Real pictures: every class, and a mean brightness that is neither black nor white.
        assert!((0..10).all(|class| pictures.labels().contains(&class)));
        let sum: u64 = pictures.pixels().iter().flatten().map(|&pixel| u64::from(pixel)).sum();
        let mean = sum as f64 / (pictures.len() * SIZE) as f64;
        assert!((110.0..135.0).contains(&mean), "{mean}");
    }
}
