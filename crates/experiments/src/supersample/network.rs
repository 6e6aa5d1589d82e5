//! The supersampling network.

use crate::parameters::Parameters;
use anyhow::Result;
use candle_conv::{Activation, Conv2d, ConvConfig, FeatureMaps};
use candle_core::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Ten convolutions, three residual blocks among them; 1,071,683 weights at width 64.
#[derive(Clone, Debug)]
pub struct Network {
    layers: Vec<Conv2d>,
    parameters: Parameters,
}

const RESIDUAL_BLOCKS: usize = 3;

impl Network {
    /// A network of the given width with Glorot-uniform weights from a seed, and biases of 0.
    ///
    /// # Errors
    /// The device has no memory for it.
    pub fn new(width: usize, seed: u64, device: &Device) -> Result<Self> {
        let wide = 2 * width;
        let mut shapes =
            vec![("conv_in".to_owned(), 3, width, 5), ("conv_expand".to_owned(), width, wide, 3)];
        for block in 0..RESIDUAL_BLOCKS {
            shapes.push((format!("res{block}_a"), wide, wide, 3));
            shapes.push((format!("res{block}_b"), wide, wide, 3));
        }
        shapes.push(("conv_reduce".to_owned(), wide, width, 3));
        shapes.push(("conv_out".to_owned(), width, 3, 5));

        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::MAX); // the low ones draw pictures
        let mut parameters = Parameters::default();
        let mut layers = Vec::new();
        for (name, inputs, outputs, side) in shapes {
            let area = side * side;
            let limit = (6.0 / (area * inputs + area * outputs) as f64).sqrt();
            let mut uniform = || ((2.0 * rng.random::<f64>() - 1.0) * limit) as f32;
            let values = (0..outputs * inputs * area).map(|_| uniform()).collect();
            let shape = [outputs, inputs, side, side];
            let weight = parameters.add(format!("{name}.weight"), values, &shape, device)?;
            let zeros = vec![0.0; outputs];
            let bias = parameters.add(format!("{name}.bias"), zeros, &[outputs], device)?;
            let activation = if name == "conv_out" { Activation::None } else { Activation::Relu };
            let config =
                ConvConfig { padding: (side / 2).into(), activation, ..ConvConfig::default() };
            layers.push(Conv2d::new(weight.as_tensor().clone(), bias.as_tensor().clone(), config));
        }
        Ok(Self { layers, parameters })
    }

    /// Restores pictures `[batch, 3, 32, 32]` from blurred ones of the same shape.
    ///
    /// # Errors
    /// The shape does not fit.
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let layer = |number: usize, x: &FeatureMaps| self.layers[number].maps(x);
        let mut x = layer(0, &FeatureMaps::new(&x.permute((0, 2, 3, 1))?)?)?;
        x = layer(1, &x)?;
        for block in 0..RESIDUAL_BLOCKS {
            let inside = layer(2 + 2 * block, &x)?;
            x = self.layers[3 + 2 * block].maps_plus(&inside, &x)?;
        }
        let last = 2 + 2 * RESIDUAL_BLOCKS;
        let y = layer(last + 1, &layer(last, &x)?)?.into_tensor()?;
        y.permute((0, 3, 1, 2))?.contiguous()
    }

    /// Its weights and biases.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
