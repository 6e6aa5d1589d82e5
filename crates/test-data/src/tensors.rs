//! Golden values of networks: `golden/*/*.safetensors`.

use anyhow::{Context, Result, bail};
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A safetensors file with its metadata.
#[derive(Clone, Debug)]
pub struct TensorFile {
    /// Where it was read from.
    pub path: PathBuf,
    bytes: Vec<u8>,
    metadata: HashMap<String, String>,
}

impl TensorFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read or is not a safetensors file.
    pub fn open(path: &Path) -> Result<Self> {
        let named = || path.display().to_string();
        let bytes = std::fs::read(path).with_context(named)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).with_context(named)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { path: path.to_path_buf(), bytes, metadata })
    }

    /// All safetensors files of a folder of golden values.
    ///
    /// # Errors
    /// There is none, or one cannot be read.
    pub fn all(folder: &str) -> Result<Vec<Self>> {
        crate::golden_files(folder, "safetensors")?.iter().map(|path| Self::open(path)).collect()
    }

    /// A setting from the file's metadata.
    ///
    /// # Errors
    /// It is missing or not a number of the asked type.
    pub fn setting<T: FromStr>(&self, name: &str) -> Result<T> {
        let text = self.metadata.get(name).with_context(|| format!("no setting {name}"))?;
        text.parse().ok().with_context(|| format!("setting {name} = {text}"))
    }

    /// The names of its tensors.
    ///
    /// # Errors
    /// It is damaged.
    pub fn names(&self) -> Result<Vec<String>> {
        let file = SafeTensors::deserialize(&self.bytes)?;
        Ok(file.names().into_iter().map(str::to_owned).collect())
    }

    /// Shape and values of an `f32` or `u8` tensor.
    ///
    /// # Errors
    /// It is missing or of another type.
    pub fn values(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let file = SafeTensors::deserialize(&self.bytes)?;
        let tensor = file.tensor(name).with_context(|| name.to_owned())?;
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F32 => {
                data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            }
            Dtype::U8 => data.iter().map(|&byte| f32::from(byte)).collect(),
            other => bail!("{name} has type {other:?}"),
        };
        Ok((tensor.shape().to_vec(), values))
    }
}
