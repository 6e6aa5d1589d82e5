//! Where data lie, and whether they are still as they were unpacked.

use super::{message, sha256, write_whole};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file in a data folder that says what else must be there.
const MANIFEST: &str = "download.json";

/// What was unpacked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The address or the file of the archive.
    pub origin: String,
    /// The archive's SHA-256.
    pub sha256: String,
    /// The SHA-256 of each file, by its path in the folder.
    pub files: BTreeMap<String, String>,
}

/// What is in a data folder.
pub enum State {
    /// No folder, or an empty one.
    Absent,
    /// So many files, all as they were unpacked.
    Complete(usize),
    /// The text says what is wrong.
    Damaged(String),
}

/// Compares a folder with its manifest.
///
/// # Errors
/// The folder holds something that this program did not put there, or cannot be read.
pub fn check(folder: &Path) -> Result<State> {
    let shown = folder.display();
    let mut entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::Absent),
        Err(error) => return Err(error).with_context(|| format!("{shown}: cannot be read")),
    };
    let path = folder.join(MANIFEST);
    if !path.exists() {
        if entries.next().is_none() {
            return Ok(State::Absent);
        }
        bail!(
            "{shown}: holds data that were not put there by this command, and that it does not \
             replace; use them as they are, move them, or give another folder with --out"
        );
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let manifest: Manifest = match serde_json::from_str(&text) {
        Ok(manifest) => manifest,
        Err(error) => bail!(
            "{}: is damaged ({error}), so that it is not known which files are whose; move {shown}, and \
             run the command again",
            path.display()
        ),
    };
    let state = compare(folder, &manifest)?;
    if let State::Damaged(why) = &state {
        let mut others = Vec::new();
        strangers(folder, folder, &manifest, &mut others)?;
        if let Some(other) = others.first() {
            bail!(
                "{shown}: {why}, but `{}` was not put there by this command and would be lost; move it, \
                 and run the command again",
                other.display()
            );
        }
    }
    Ok(state)
}

/// Files of a folder that the manifest does not name.
fn strangers(
    top: &Path,
    folder: &Path,
    manifest: &Manifest,
    found: &mut Vec<PathBuf>,
) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.strip_prefix(top)?.to_string_lossy().replace('\\', "/");
        if path.is_dir() && !path.is_symlink() {
            strangers(top, &path, manifest, found)?;
        } else if name != MANIFEST && !manifest.files.contains_key(&name) {
            found.push(path);
        }
    }
    Ok(())
}

fn compare(folder: &Path, manifest: &Manifest) -> Result<State> {
    for (name, expected) in &manifest.files {
        let file = folder.join(name);
        if !file.is_file() {
            return Ok(State::Damaged(format!("{name} is missing")));
        }
        if sha256(&file)? != *expected {
            return Ok(State::Damaged(format!("{name} is damaged: its SHA-256 is another")));
        }
    }
    Ok(State::Complete(manifest.files.len()))
}

/// The path with an addition to its last name.
pub fn beside(path: &Path, addition: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(addition);
    name.into()
}

/// Removes what an earlier try has left.
///
/// # Errors
/// It cannot be removed.
pub fn clear(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(message::writing(folder, &error))
        }
        _ => Ok(()),
    }
}

/// Writes the manifest into an unpacked folder and renames it to where it belongs. What was there
/// stays until then.
///
/// # Errors
/// The folder cannot be written or renamed.
pub fn put(staging: &Path, out: &Path, manifest: &Manifest) -> Result<()> {
    let path = staging.join(MANIFEST);
    write_whole(&path, serde_json::to_string_pretty(manifest)?.as_bytes())
        .map_err(|error| message::writing(&path, &error))?;
    let old = beside(out, ".replaced-by-download");
    clear(&old)?;
    if out.exists() {
        std::fs::rename(out, &old).map_err(|error| message::writing(out, &error))?;
    }
    std::fs::rename(staging, out).map_err(|error| message::writing(out, &error))?;
    clear(&old)
}
