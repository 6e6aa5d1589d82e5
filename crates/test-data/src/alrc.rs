//! Golden values of the clipping itself: `golden/alrc/*.json`.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::PathBuf;

/// Settings of the reference run.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct AlrcConfig {
    pub num_stddev_above: Option<f64>,
    pub num_stddev_below: Option<f64>,
    pub decay: f64,
    pub mu1_start: f64,
    pub mu2_start: f64,
    pub epsilon: f64,
}

/// One step of the reference: the batch, what it became, and the moments after it.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct AlrcStep {
    pub loss: Vec<f32>,
    pub clipped: Vec<f64>,
    pub grad_scale: Vec<f64>,
    pub mu1: f64,
    pub mu2: f64,
}

/// One file.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct AlrcFile {
    pub config: AlrcConfig,
    pub shape: Vec<usize>,
    pub steps: Vec<AlrcStep>,
    #[serde(skip)]
    pub path: PathBuf,
}

impl AlrcFile {
    /// All golden files of the clipping.
    ///
    /// # Errors
    /// A file is missing or not of the expected form.
    pub fn all() -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for path in crate::golden_files("alrc", "json")? {
            let named = || path.display().to_string();
            let text = std::fs::read_to_string(&path).with_context(named)?;
            let file: Self = serde_json::from_str(&text).with_context(named)?;
            all.push(Self { path, ..file });
        }
        Ok(all)
    }
}
