//! Adam and plain gradient descent, with state that can be saved.
//!
//! Weights are updated in place. On the processor each parameter takes one pass over its numbers,
//! with the averages kept beside, several parameters side by side; elsewhere the same formulas run as tensor operations.

use crate::parameters::Parameters;
use anyhow::{Context, Result, ensure};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, Device, InplaceOp2, Layout, Tensor, Var, bail};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam with decays 0.9 and 0.999, in TensorFlow's form:
    /// `w -= lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + 1e-8)`.
    #[default]
    Adam,
    /// Plain gradient descent: `w -= lr * gradient`.
    Sgd,
}

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Adam's running averages of a parameter's gradient and of its square.
#[derive(Debug)]
enum Averages {
    Host { m: Mutex<Vec<f32>>, v: Mutex<Vec<f32>> },
    Device { m: Var, v: Var },
}

/// An optimiser for one set of parameters.
#[derive(Debug)]
pub struct Optimizer {
    parameters: Parameters,
    /// One for each parameter; none for gradient descent.
    averages: Vec<Averages>,
    /// Updates made.
    steps: u64,
}

impl Optimizer {
    /// An optimiser at its first step.
    ///
    /// # Errors
    /// The device has no memory for its state.
    pub fn new(kind: OptimizerKind, parameters: &Parameters) -> Result<Self> {
        let mut averages = Vec::new();
        if kind == OptimizerKind::Adam {
            for (_, var) in parameters.iter() {
                averages.push(match var.device() {
                    Device::Cpu => {
                        let zeros = || Mutex::new(vec![0.0; var.elem_count()]);
                        Averages::Host { m: zeros(), v: zeros() }
                    }
                    _ => {
                        let zeros = || Var::zeros(var.shape(), var.dtype(), var.device());
                        Averages::Device { m: zeros()?, v: zeros()? }
                    }
                });
            }
        }
        Ok(Self { parameters: parameters.clone(), averages, steps: 0 })
    }

    /// Updates every parameter.
    ///
    /// # Errors
    /// A parameter has no gradient, or an operation fails.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<()> {
        let find = |(name, var): (_, &'_ Var)| {
            gradients
                .get(var)
                .with_context(|| format!("parameter `{name}` has no gradient; is it used?"))?
                .contiguous()
                .map_err(anyhow::Error::from)
        };
        let found: Vec<Tensor> = self.parameters.iter().map(find).collect::<Result<_>>()?;
        self.steps += 1;
        let t = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correction = (1.0 - f64::from(BETA2).powi(t)).sqrt() / (1.0 - f64::from(BETA1).powi(t));
        let adam_rate = learning_rate * correction;
        let parameters: Vec<(&Var, Tensor)> =
            self.parameters.iter().map(|(_, var)| var).zip(found).collect();
        parameters.par_iter().enumerate().try_for_each(|(number, (var, gradient))| {
            match self.averages.get(number) {
                Some(Averages::Host { m, v }) => {
                    let update = Update::Adam { rate: adam_rate as f32, m, v };
                    var.inplace_op2(gradient, &update)?;
                }
                Some(Averages::Device { m, v }) => {
                    let (b1, b2) = (f64::from(BETA1), f64::from(BETA2));
                    m.set(&((m.as_tensor() * b1)? + (gradient * (1.0 - b1))?)?)?;
                    v.set(&((v.as_tensor() * b2)? + (gradient.sqr()? * (1.0 - b2))?)?)?;
                    let scale = (v.sqrt()? + f64::from(EPSILON))?;
                    var.set(&(var.as_tensor() - (m.div(&scale)? * adam_rate)?)?)?;
                }
                None if matches!(var.device(), Device::Cpu) => {
                    let update = Update::Descent { rate: learning_rate as f32 };
                    var.inplace_op2(gradient, &update)?;
                }
                None => var.set(&(var.as_tensor() - (gradient * learning_rate)?)?)?,
            }
            Ok(())
        })
    }

    /// The state as tensors named `optimizer.steps`, `optimizer.m.<parameter>` and
    /// `optimizer.v.<parameter>`.
    ///
    /// # Errors
    /// They cannot be copied.
    pub fn state(&self) -> Result<HashMap<String, Tensor>> {
        let steps = Tensor::new(self.steps as i64, &Device::Cpu)?;
        let mut tensors = HashMap::from([("optimizer.steps".to_owned(), steps)]);
        for ((name, var), averages) in self.parameters.iter().zip(&self.averages) {
            let (m, v) = match averages {
                Averages::Host { m, v } => {
                    let copy = |values: &Mutex<Vec<f32>>| {
                        Tensor::from_vec(lock(values).clone(), var.shape(), &Device::Cpu)
                    };
                    (copy(m)?, copy(v)?)
                }
                Averages::Device { m, v } => (m.copy()?, v.copy()?),
            };
            tensors.insert(format!("optimizer.m.{name}"), m);
            tensors.insert(format!("optimizer.v.{name}"), v);
        }
        Ok(tensors)
    }

    /// Restores what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// A tensor is missing or of another shape: the message names it.
    pub fn load_state(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        let find = |name: &str| {
            tensors.get(name).with_context(|| {
                format!("`{name}` is missing; was it saved with another optimiser?")
            })
        };
        let steps = find("optimizer.steps")?.to_scalar::<i64>()?;
        for ((name, var), averages) in self.parameters.iter().zip(&self.averages) {
            let find = |letter: &str| {
                let name = format!("optimizer.{letter}.{name}");
                let tensor = find(&name)?;
                ensure!(
                    tensor.shape() == var.shape(),
                    "`{name}` has shape {:?}; expected {:?}",
                    tensor.shape(),
                    var.shape()
                );
                Ok(tensor)
            };
            let (saved_m, saved_v) = (find("m")?, find("v")?);
            match averages {
                Averages::Host { m, v } => {
                    *lock(m) = saved_m.flatten_all()?.to_vec1()?;
                    *lock(v) = saved_v.flatten_all()?.to_vec1()?;
                }
                Averages::Device { m, v } => {
                    m.set(&saved_m.to_device(var.device())?)?;
                    v.set(&saved_v.to_device(var.device())?)?;
                }
            }
        }
        self.steps = u64::try_from(steps).context("`optimizer.steps` is negative")?;
        Ok(())
    }
}

fn lock(values: &Mutex<Vec<f32>>) -> MutexGuard<'_, Vec<f32>> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One update of one parameter on the processor.
enum Update<'a> {
    Adam { rate: f32, m: &'a Mutex<Vec<f32>>, v: &'a Mutex<Vec<f32>> },
    Descent { rate: f32 },
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "optimiser"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        weights_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (weights, gradient) = slices(weights, weights_layout, gradient, gradient_layout)?;
        match *self {
            Self::Adam { rate, m, v } => {
                let (mut m, mut v) = (lock(m), lock(v));
                let averages = m.iter_mut().zip(v.iter_mut());
                for ((weight, gradient), (m, v)) in weights.iter_mut().zip(gradient).zip(averages) {
                    *m = BETA1 * *m + (1.0 - BETA1) * gradient;
                    *v = BETA2 * *v + (1.0 - BETA2) * (gradient * gradient);
                    *weight -= rate * *m / (v.sqrt() + EPSILON);
                }
            }
            Self::Descent { rate } => {
                for (weight, gradient) in weights.iter_mut().zip(gradient) {
                    *weight -= rate * gradient;
                }
            }
        }
        Ok(())
    }
}

/// The numbers of a contiguous weight and of its contiguous gradient.
fn slices<'a>(
    weights: &'a mut CpuStorage,
    weights_layout: &Layout,
    gradient: &'a CpuStorage,
    gradient_layout: &Layout,
) -> candle_core::Result<(&'a mut [f32], &'a [f32])> {
    match (weights, gradient) {
        (CpuStorage::F32(weights), CpuStorage::F32(gradient)) => {
            let offsets =
                (weights_layout.contiguous_offsets(), gradient_layout.contiguous_offsets());
            if let (Some((w0, w1)), Some((g0, g1))) = offsets {
                return Ok((&mut weights[w0..w1], &gradient[g0..g1]));
            }
            bail!("optimiser: weights and gradients must be contiguous")
        }
        _ => bail!("optimiser: weights and gradients must be f32"),
    }
}
