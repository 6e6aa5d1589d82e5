//! Where tests find golden values, odd files, real data and small disks. For tests only; not published.
//!
//! Golden values and odd files come from the folders named by `ALRC_GOLDEN_DIR` and `ALRC_ODD_DIR`
//! if those are set, else from the repository's own copies. Real data is not in the repository:
//! tests that use it skip, loudly, where it is not found.
#![forbid(unsafe_code)]

mod alrc;
mod mount;
mod tensors;

pub use alrc::{AlrcConfig, AlrcFile, AlrcStep};
pub use mount::Mount;
pub use tensors::TensorFile;

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of golden values.
pub fn golden_dir() -> PathBuf {
    std::env::var_os("ALRC_GOLDEN_DIR").map_or_else(|| repository().join("golden"), PathBuf::from)
}

/// The folder of damaged and unusual files.
pub fn odd_dir() -> PathBuf {
    std::env::var_os("ALRC_ODD_DIR").map_or_else(|| repository().join("odd"), PathBuf::from)
}

/// Real CIFAR-10 pictures: the folder in `ALRC_CIFAR10_DIR`, a shared folder beside the
/// repository, or what the downloader filled. `None`, with a word on standard error, if there are
/// none: the test then has nothing to test.
pub fn cifar10_or_skip(test: &str) -> Option<PathBuf> {
    data_or_skip(test, "ALRC_CIFAR10_DIR", "cifar10")
}

/// Real micrographs: the folder in `ALRC_STEM_DIR`, or as for [`cifar10_or_skip`].
pub fn stem_or_skip(test: &str) -> Option<PathBuf> {
    data_or_skip(test, "ALRC_STEM_DIR", "stem")
}

fn data_or_skip(test: &str, variable: &str, name: &str) -> Option<PathBuf> {
    let candidates = [
        std::env::var_os(variable).map(PathBuf::from),
        Some(repository().join("../shared/data").join(name)),
        Some(repository().join("data").join(name)),
    ];
    let found = candidates.into_iter().flatten().find(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED {test}: no {name} pictures; set {variable} to test on them");
    }
    found
}

/// The files with this extension in a folder of golden values, sorted; at least one.
///
/// # Errors
/// The folder cannot be read or holds no such file.
pub fn golden_files(folder: &str, extension: &str) -> Result<Vec<PathBuf>> {
    let folder = golden_dir().join(folder);
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("{}: no golden values", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    ensure!(!files.is_empty(), "{}: no .{extension} files", folder.display());
    files.sort();
    Ok(files)
}
