//! The trainable parameters of a network, by name and in a fixed order.

use anyhow::{Result, bail, ensure};
use candle_core::{Device, Tensor, Var};
use std::collections::HashMap;

/// Named variables, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    entries: Vec<(String, Var)>,
}

impl Parameters {
    /// Adds a variable with these first values, row by row.
    ///
    /// # Errors
    /// The number of values does not fit the shape.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        values: Vec<f32>,
        shape: &[usize],
        device: &Device,
    ) -> Result<Var> {
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, device)?)?;
        self.entries.push((name.into(), var.clone()));
        Ok(var)
    }

    /// Names and variables.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Var)> {
        self.entries.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// How many numbers they hold in all.
    pub fn count(&self) -> usize {
        self.iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// A snapshot of their values, with `prefix` and a dot before each name.
    ///
    /// # Errors
    /// They cannot be copied.
    pub fn tensors(&self, prefix: &str) -> Result<HashMap<String, Tensor>> {
        let named = |(name, var): (&str, &Var)| {
            Ok((format!("{prefix}.{name}"), var.as_detached_tensor().copy()?))
        };
        self.iter().map(named).collect()
    }

    /// Sets their values from what [`tensors`](Self::tensors) gave.
    ///
    /// # Errors
    /// A tensor is missing or has another shape; nothing has changed.
    pub fn load(&self, prefix: &str, tensors: &HashMap<String, Tensor>) -> Result<()> {
        let find = |name: &str| {
            let name = format!("{prefix}.{name}");
            let Some(tensor) = tensors.get(&name) else { bail!("`{name}` is missing") };
            Ok(tensor)
        };
        for (name, var) in self.iter() {
            let tensor = find(name)?;
            ensure!(
                tensor.shape() == var.shape() && tensor.dtype() == var.dtype(),
                "`{prefix}.{name}` has shape {:?} and type {:?}; this network has {:?} and {:?}: \
                 is it a checkpoint of another width?",
                tensor.shape(),
                tensor.dtype(),
                var.shape(),
                var.dtype()
            );
        }
        for (name, var) in self.iter() {
            var.set(&find(name)?.to_device(var.device())?)?;
        }
        Ok(())
    }
}
