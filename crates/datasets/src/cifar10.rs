//! CIFAR-10 from its binary files (Krizhevsky, "Learning multiple layers of features from tiny
//! images", 2009).
//!
//! A batch file holds records of 3,073 bytes: a label 0 to 9, then the red, green and blue planes,
//! row by row. The full set has 10,000 records a file; subsets, with any whole number of records a
//! file, load as well, and say so.

use crate::{Error, Pictures, SIZE};
use std::path::{Path, PathBuf};

/// Bytes of a record: label and picture.
const RECORD: usize = 1 + SIZE;
/// Records in each file of the full set.
const FULL: usize = 10_000;
const CLASSES: usize = 10;
/// The folder that the published archive unpacks to.
const FOLDER: &str = "cifar-10-batches-bin";
const REMEDY: &str = "get the data with `cargo xtask download cifar10`, or give the folder that \
                      holds data_batch_1.bin with --data";

/// Training or test pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// 50,000 pictures in the full set.
    Train,
    /// 10,000 pictures in the full set.
    Test,
}

impl Split {
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Train => &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
            Self::Test => &["test_batch.bin"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Test => "test",
        }
    }
}

/// Reads a split from a folder: the one with the batch files, or the one that holds
/// `cifar-10-batches-bin`.
///
/// # Errors
/// A file is missing, is no whole number of records, holds a label over 9, or has the records of
/// CIFAR-100: the error names the file, what was found, what was expected, and what to do. Nothing
/// is repaired or left out.
pub fn open(folder: &Path, split: Split) -> Result<Pictures, Error> {
    let folder = batches_folder(folder);
    class_names(&folder)?;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let mut complete = true;
    for file in split.files() {
        let path = folder.join(file);
        let records = read(&path)?;
        complete &= records.len() == FULL * RECORD;
        for (number, record) in records.chunks_exact(RECORD).enumerate() {
            let label = record[0];
            if usize::from(label) >= CLASSES {
                let problem = format!(
                    "record {number} (counted from 0, at byte {}) has label {label}; expected 0 to 9",
                    number * RECORD
                );
                return Err(Error::content(&path, problem, REMEDY));
            }
            labels.push(label);
            let mut picture = [0; SIZE];
            picture.copy_from_slice(&record[1..]);
            pixels.push(picture);
        }
    }
    let all = pixels.len();
    let part = if complete { "the full set" } else { "a subset" };
    let source =
        format!("CIFAR-10, {all} {} pictures ({part}) from {}", split.name(), folder.display());
    Ok(Pictures { pixels, labels, source, complete })
}

/// The ten class names, from `batches.meta.txt`. Carriage returns and empty lines do not count.
///
/// # Errors
/// The file is missing or does not hold ten names.
pub fn class_names(folder: &Path) -> Result<Vec<String>, Error> {
    let path = batches_folder(folder).join("batches.meta.txt");
    let text = String::from_utf8_lossy(&load(&path)?).into_owned();
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if names.len() != CLASSES {
        let problem = format!("{} class names; expected {CLASSES}, a line each", names.len());
        return Err(Error::content(&path, problem, REMEDY));
    }
    Ok(names)
}

fn batches_folder(folder: &Path) -> PathBuf {
    let inner = folder.join(FOLDER);
    if inner.is_dir() { inner } else { folder.to_path_buf() }
}

fn load(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Io {
        path: path.to_path_buf(),
        source,
        remedy: REMEDY,
    })
}

/// The bytes of a batch file, a whole number of records.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = load(path)?;
    let length = bytes.len();
    let problem = if length == 0 {
        format!("the file is empty; expected records of {RECORD} bytes")
    } else if length % RECORD == 0 {
        return Ok(bytes);
    } else if length % (RECORD + 1) == 0 {
        format!(
            "{length} bytes are records of {} bytes, with two labels each: this is CIFAR-100; \
             expected CIFAR-10",
            RECORD + 1
        )
    } else {
        format!(
            "{length} bytes are {} records of {RECORD} bytes and {} bytes left over; expected a \
             whole number of records: the file is damaged or cut short",
            length / RECORD,
            length % RECORD
        )
    };
    Err(Error::content(path, problem, REMEDY))
}
