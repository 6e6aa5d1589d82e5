//! The layer's state as named tensors, for safetensors files.

use crate::{Alrc, BatchMoments, Error, Estimate, Moments, Result, State};
use candle_core::{DType, Device, Tensor, WithDType};
use std::collections::HashMap;

/// The version of the layout written by [`Alrc::state`].
const VERSION: i64 = 1;

impl Alrc {
    /// The state as scalar tensors whose names start with `prefix` and a dot: write them into a
    /// checkpoint beside the weights. Settings are not part of it.
    ///
    /// | name | type | what |
    /// |---|---|---|
    /// | `version` | i64 | 1 |
    /// | `skipped_total`, `skipped_in_a_row` | i64 | steps skipped |
    /// | `mean`, `variance` | f64 | the moments; absent while the start is being estimated |
    /// | `estimate.steps`, `.seen`, `.count` | i64 | while it is: batches in all, batches and losses seen |
    /// | `estimate.overestimate`, `.mean`, `.variance` | f64 | the factor, and the losses' moments |
    ///
    /// # Errors
    /// Candle cannot make the tensors.
    ///
    /// # Example
    /// ```
    /// use alrc_candle::Alrc;
    /// use candle_core::{Device, Tensor, safetensors};
    ///
    /// let mut alrc = Alrc::default();
    /// alrc.forward(&Tensor::new(&[3.0_f32, 900.0], &Device::Cpu)?)?;
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("alrc.safetensors");
    /// safetensors::save(&alrc.state("alrc")?, &path)?;
    ///
    /// let mut restored = Alrc::default();
    /// restored.load_state("alrc", &safetensors::load(&path, &Device::Cpu)?)?;
    /// assert_eq!(restored, alrc);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn state(&self, prefix: &str) -> Result<HashMap<String, Tensor>> {
        let mut integers = vec![
            ("version", VERSION),
            ("skipped_total", self.skipped_total as i64),
            ("skipped_in_a_row", self.skipped_in_a_row as i64),
        ];
        let mut floats = Vec::new();
        match self.clipper.state() {
            State::Running(moments) => {
                floats.extend([("mean", moments.mean()), ("variance", moments.variance())]);
            }
            State::Estimating(estimate) => {
                let losses = estimate.losses();
                integers.extend([
                    ("estimate.steps", i64::from(estimate.steps())),
                    ("estimate.seen", i64::from(estimate.seen())),
                    ("estimate.count", losses.count() as i64),
                ]);
                floats.extend([
                    ("estimate.overestimate", estimate.overestimate()),
                    ("estimate.mean", losses.mean()),
                    ("estimate.variance", losses.variance()),
                ]);
            }
        }
        let mut tensors = HashMap::new();
        for (name, value) in integers {
            tensors.insert(format!("{prefix}.{name}"), Tensor::new(value, &Device::Cpu)?);
        }
        for (name, value) in floats {
            tensors.insert(format!("{prefix}.{name}"), Tensor::new(value, &Device::Cpu)?);
        }
        Ok(tensors)
    }

    /// Restores what [`state`](Self::state) gave: the layer then behaves as the saved one, if its
    /// settings are the same. Other tensors in `tensors` are ignored.
    ///
    /// # Errors
    /// [`Error::State`] if a tensor is missing, has another type, shape or version, or holds a
    /// value outside its range: the message names it. The layer is unchanged.
    pub fn load_state(&mut self, prefix: &str, tensors: &HashMap<String, Tensor>) -> Result<()> {
        let saved = Saved { prefix, tensors };
        let version = saved.scalar::<i64>("version")?;
        if version != VERSION {
            let problem = format!("is {version}; this version of alrc-candle reads {VERSION}");
            return Err(saved.error("version", problem));
        }
        let state: State = if tensors.contains_key(&saved.name("estimate.steps")) {
            let losses = BatchMoments::from_parts(
                saved.count("estimate.count")?,
                saved.scalar("estimate.mean")?,
                saved.scalar("estimate.variance")?,
            )
            .map_err(|error| saved.error("estimate.mean", error.to_string()))?;
            let small = |name| {
                let count = saved.count(name)?;
                u32::try_from(count).map_err(|_| saved.error(name, format!("is {count}")))
            };
            let (steps, seen) = (small("estimate.steps")?, small("estimate.seen")?);
            let overestimate = saved.scalar("estimate.overestimate")?;
            Estimate::resume(steps, overestimate, seen, losses)
                .map_err(|error| saved.error("estimate.steps", error.to_string()))?
                .into()
        } else {
            Moments::new(saved.scalar("mean")?, saved.scalar("variance")?)
                .map_err(|error| saved.error("mean", error.to_string()))?
                .into()
        };
        let skipped_total = saved.count("skipped_total")?;
        let skipped_in_a_row = saved.count("skipped_in_a_row")?;
        self.clipper.reset(state);
        self.skipped_total = skipped_total;
        self.skipped_in_a_row = skipped_in_a_row;
        Ok(())
    }
}

struct Saved<'a> {
    prefix: &'a str,
    tensors: &'a HashMap<String, Tensor>,
}

impl Saved<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn error(&self, name: &str, problem: impl Into<String>) -> Error {
        Error::State { name: self.name(name), problem: problem.into() }
    }

    fn scalar<T: WithDType>(&self, name: &str) -> Result<T> {
        let Some(tensor) = self.tensors.get(&self.name(name)) else {
            return Err(self.error(name, "is missing; is this a checkpoint with an ALRC layer?"));
        };
        let (dtype, shape): (DType, _) = (tensor.dtype(), tensor.shape());
        if dtype != T::DTYPE || shape.rank() != 0 {
            let expected = T::DTYPE;
            let problem =
                format!("has type {dtype:?} and shape {shape:?}; expected one {expected:?}");
            return Err(self.error(name, problem));
        }
        Ok(tensor.to_scalar::<T>()?)
    }

    fn count(&self, name: &str) -> Result<u64> {
        let value = self.scalar::<i64>(name)?;
        u64::try_from(value).map_err(|_| self.error(name, format!("is {value}; expected a count")))
    }
}
