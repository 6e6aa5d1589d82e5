//! `checkpoint.safetensors`: everything that a run needs to go on, and to be evaluated.
//!
//! The tensors are named; one metadata entry, `checkpoint`, holds the rest as JSON with a checksum
//! over all of it. The same state gives the same bytes.

use crate::files::write_whole;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The version of the layout.
const VERSION: u32 = 1;
const ENTRY: &str = "checkpoint";

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Pictures drawn: with the seed, the state of all random choices.
    pub drawn: u64,
    /// Steps skipped in a row up to now.
    pub skipped_in_a_row: u64,
    /// Bytes of the metrics file that belong to these steps.
    pub metrics_bytes: u64,
}

/// A checkpoint of a run with settings `S`.
#[derive(Clone, Debug)]
pub struct Checkpoint<S> {
    /// The run's settings.
    pub settings: S,
    /// Where it stands.
    pub progress: Progress,
    /// Weights, optimiser and moments.
    pub tensors: HashMap<String, Tensor>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: u32,
    settings: serde_json::Value,
    progress: Progress,
    crc32: u32,
}

impl<S: Serialize + DeserializeOwned> Checkpoint<S> {
    /// Writes the file; the one before stays until the new one is safe on disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let host: BTreeMap<&String, Tensor> = self
            .tensors
            .iter()
            .map(|(name, tensor)| Ok((name, tensor.to_device(&Device::Cpu)?)))
            .collect::<Result<_>>()?;
        let mut entry = Entry {
            version: VERSION,
            settings: serde_json::to_value(&self.settings)?,
            progress: self.progress,
            crc32: 0,
        };
        // The checksum covers the bytes as a reader finds them: written once without it.
        let unsigned = safetensors::serialize(host.iter(), None)?;
        entry.crc32 = checksum(&SafeTensors::deserialize(&unsigned)?, &entry)?;
        let metadata = HashMap::from([(ENTRY.to_owned(), serde_json::to_string(&entry)?)]);
        write_whole(path, &safetensors::serialize(host.iter(), Some(metadata))?)
    }

    /// Reads a file and checks it.
    ///
    /// # Errors
    /// It is missing, cut short, damaged, or no checkpoint of such a run: the message names the
    /// file, what was found, and what to do.
    pub fn read(path: &Path) -> Result<Self> {
        let remedy = "give another checkpoint, or start the run again in another folder";
        let named = || format!("{}: not a usable checkpoint; {remedy}", path.display());
        let bytes = std::fs::read(path)
            .with_context(|| format!("{}: no checkpoint; {remedy}", path.display()))?;
        Self::parse(&bytes).with_context(named)
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes)
            .context("the file is cut short or no safetensors file")?;
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let text = header.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        let text = text.with_context(|| format!("its metadata has no entry `{ENTRY}`"))?;
        let mut entry: Entry =
            serde_json::from_str(text).with_context(|| format!("metadata entry `{ENTRY}`"))?;
        ensure!(
            entry.version == VERSION,
            "it has version {}; this program reads {VERSION}",
            entry.version
        );
        let expected = std::mem::take(&mut entry.crc32);
        let found = checksum(&file, &entry)?;
        ensure!(
            found == expected,
            "its checksum is {found:08x}, not {expected:08x}: it is damaged"
        );
        let settings = serde_json::from_value(entry.settings).context("its settings")?;
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
        Ok(Self { settings, progress: entry.progress, tensors })
    }
}

/// Over the names, shapes and bytes of all tensors, and over the entry with its checksum at 0.
fn checksum(file: &SafeTensors<'_>, entry: &Entry) -> Result<u32> {
    if entry.crc32 != 0 {
        bail!("the entry's own checksum must be 0 while it is computed");
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(serde_json::to_string(entry)?.as_bytes());
    let mut tensors = file.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, tensor) in tensors {
        hasher.update(format!("{name}{:?}{:?}", tensor.dtype(), tensor.shape()).as_bytes());
        hasher.update(tensor.data());
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint<String> {
        let tensors = HashMap::from([
            ("b".to_owned(), Tensor::new(&[1.0_f32, f32::NAN], &Device::Cpu).unwrap()),
            ("a".to_owned(), Tensor::new(7_i64, &Device::Cpu).unwrap()),
        ]);
        let progress = Progress { step: 3, drawn: 12, skipped_in_a_row: 0, metrics_bytes: 99 };
        Checkpoint { settings: "settings".to_owned(), progress, tensors }
    }

    #[test]
    fn the_same_state_gives_the_same_bytes_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("1"), folder.path().join("2"));
        checkpoint().write(&one).unwrap();
        checkpoint().write(&two).unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
        let back = Checkpoint::<String>::read(&one).unwrap();
        assert_eq!((back.settings.as_str(), back.progress), ("settings", checkpoint().progress));
        assert_eq!(back.tensors["a"].to_scalar::<i64>().unwrap(), 7);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        checkpoint().write(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        for length in 0..good.len() {
            assert!(Checkpoint::<String>::parse(&good[..length]).is_err(), "cut at {length}");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = Checkpoint::<String>::parse(&bad) {
                // Only white space around the header may differ without a difference in meaning.
                assert_eq!(read.progress, checkpoint().progress, "bit {bit}");
                assert_eq!(read.tensors["a"].to_scalar::<i64>().unwrap(), 7, "bit {bit}");
            }
        }
        let error =
            format!("{:#}", Checkpoint::<String>::read(&folder.path().join("x")).unwrap_err());
        assert!(error.contains("no checkpoint") && error.contains("/x"), "{error}");
    }
}
