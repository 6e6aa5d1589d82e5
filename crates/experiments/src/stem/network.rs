//! The two-stage generator.

use super::weight_norm::weight_norm;
use crate::parameters::Parameters;
use anyhow::Result;
use candle_conv::{Activation, ConvConfig, FeatureMaps, Padding};
use candle_core::{Device, Tensor, Var};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

/// Standard deviation of the start weights.
const START: f32 = 0.05;
const INNER_BLOCKS: usize = 6;
const OUTER_BLOCKS: usize = 3;
/// The published numbers of channels.
const DOWN: [usize; 5] = [64, 128, 256, 512, 768];
const OUTER: usize = 32;
/// Pictures' sides are multiples of this.
pub const MULTIPLE: usize = 32;

/// A convolution or a transposed one, weight-normalised or not.
#[derive(Clone, Debug)]
struct Layer {
    weight: Var,
    gain: Option<Var>,
    bias: Var,
    transposed: bool,
    config: ConvConfig,
}

impl Layer {
    fn run(
        &self,
        x: &FeatureMaps,
        residual: Option<&FeatureMaps>,
        pass: Pass,
    ) -> Result<FeatureMaps> {
        if let (Pass::Start, Some(gain)) = (pass, &self.gain) {
            self.start_from(x, gain)?;
        }
        Ok(self.convolve(x, residual, &self.config, pass != Pass::Complete)?)
    }

    fn convolve(
        &self,
        x: &FeatureMaps,
        residual: Option<&FeatureMaps>,
        config: &ConvConfig,
        gradients: bool,
    ) -> candle_core::Result<FeatureMaps> {
        let of =
            |var: &Var| if gradients { var.as_tensor().clone() } else { var.as_detached_tensor() };
        let kernel = match &self.gain {
            Some(gain) => weight_norm(&of(&self.weight), &of(gain), self.transposed)?,
            None => of(&self.weight),
        };
        let bias = of(&self.bias);
        match residual {
            Some(residual) => x.conv2d_plus(&kernel, &bias, config, residual),
            None if self.transposed => x.conv_transpose2d(&kernel, &bias, config),
            None => x.conv2d(&kernel, &bias, config),
        }
    }

    /// Sets gain and bias so that what comes before the activation has mean 0 and standard deviation
    /// 1 in each channel, for this input. A channel without deviation (a single pixel, say) stays.
    fn start_from(&self, x: &FeatureMaps, gain: &Var) -> Result<()> {
        let plain = ConvConfig { activation: Activation::None, ..self.config };
        let before = self.convolve(x, None, &plain, false)?.into_tensor()?.flatten_to(2)?;
        let mean = before.mean(0)?;
        let std = before.broadcast_sub(&mean)?.sqr()?.mean(0)?.sqrt()?;
        let varies = std.gt(1e-6)?;
        gain.set(&varies.where_cond(&std.recip()?, gain)?)?;
        self.bias.set(&varies.where_cond(&mean.div(&std)?.neg()?, &self.bias)?)?;
        Ok(())
    }
}

/// How a generator is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// For gradients.
    Train,
    /// To start gains and biases from data.
    Start,
    /// For the picture alone: nothing is kept for a way back.
    Complete,
}

/// What the generator makes of a partial scan; channels-last.
pub struct Outputs {
    /// The inner network's features at half the side.
    pub features: FeatureMaps,
    /// The trainer's picture at half the side; only while training.
    pub inner: Option<Tensor>,
    /// The completed picture.
    pub outer: Tensor,
}

/// Completes partial scans: an inner network at half the side, and an outer one at the full side.
#[derive(Clone, Debug)]
pub struct Generator {
    inner_stem: Layer,
    down: Vec<Layer>,
    inner_blocks: Vec<[Layer; 3]>,
    up: Vec<Layer>,
    trainer: [Layer; 2],
    outer_stem: Layer,
    outer_down: Layer,
    outer_blocks: Vec<[Layer; 3]>,
    outer_up: Layer,
    outer_last: [Layer; 2],
    parameters: Parameters,
}

/// Adds layers in order.
struct Builder<'a> {
    parameters: Parameters,
    rng: ChaCha8Rng,
    device: &'a Device,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Keeps the side.
    Same,
    /// Halves it.
    Down,
    /// Doubles it.
    Up,
}

impl Builder<'_> {
    fn layer(
        &mut self,
        name: &str,
        (inputs, outputs, side): (usize, usize, usize),
        kind: Kind,
        activation: Activation,
        normalised: bool,
    ) -> Result<Layer> {
        // "Same" padding with stride 2 on an even side: after the last row and column alone.
        let padding = match kind {
            Kind::Same => Padding::from(side / 2),
            Kind::Down | Kind::Up => Padding { before: 0, after: 1 },
        };
        let stride = if matches!(kind, Kind::Same) { 1 } else { 2 };
        let transposed = matches!(kind, Kind::Up);
        let (first, second) = if transposed { (inputs, outputs) } else { (outputs, inputs) };
        let shape = [first, second, side, side];
        let normal = Normal::new(0.0, START)?;
        let values = (0..inputs * outputs * side * side).map(|_| normal.sample(&mut self.rng));
        let (device, parameters) = (self.device, &mut self.parameters);
        let weight = parameters.add(format!("{name}.weight"), values.collect(), &shape, device)?;
        let gain = if normalised {
            Some(parameters.add(format!("{name}.gain"), vec![1.0; outputs], &[outputs], device)?)
        } else {
            None
        };
        let bias =
            parameters.add(format!("{name}.bias"), vec![0.0; outputs], &[outputs], device)?;
        let config = ConvConfig { padding, stride, activation, ..ConvConfig::default() };
        Ok(Layer { weight, gain, bias, transposed, config })
    }

    fn usual(&mut self, name: &str, inputs: usize, outputs: usize, kind: Kind) -> Result<Layer> {
        self.layer(name, (inputs, outputs, 3), kind, Activation::LeakyRelu(0.01), true)
    }

    fn block(&mut self, name: &str, channels: usize) -> Result<[Layer; 3]> {
        let mut layer = |n| self.usual(&format!("{name}.{n}"), channels, channels, Kind::Same);
        Ok([layer(0)?, layer(1)?, layer(2)?])
    }

    fn last(&mut self, name: &str, inputs: usize) -> Result<Layer> {
        self.layer(name, (inputs, 1, 3), Kind::Same, Activation::None, true)
    }
}

impl Generator {
    /// A generator with the published widths divided by `divisor`, its directions drawn from a seed,
    /// gains 1 and biases 0.
    ///
    /// # Errors
    /// The device has no memory for it.
    ///
    /// # Panics
    /// If the divisor does not divide 32.
    pub fn new(divisor: usize, seed: u64, device: &Device) -> Result<Self> {
        assert!(divisor > 0 && 32_usize.is_multiple_of(divisor), "a divisor of 32");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::MAX); // the low ones draw pictures
        let mut b = Builder { parameters: Parameters::default(), rng, device };
        let wide = DOWN.map(|channels| channels / divisor);
        let outer = OUTER / divisor;
        let weak = Activation::LeakyRelu(0.1);

        let inner_stem = b.layer("inner.stem", (2, wide[0], 5), Kind::Same, weak, false)?;
        let down = (0..4)
            .map(|i| b.usual(&format!("inner.down{i}"), wide[i], wide[i + 1], Kind::Down))
            .collect::<Result<_>>()?;
        let inner_blocks = (0..INNER_BLOCKS)
            .map(|i| b.block(&format!("inner.block{i}"), wide[4]))
            .collect::<Result<_>>()?;
        let up = (0..4)
            .map(|i| b.usual(&format!("inner.up{i}"), wide[4 - i], wide[3 - i], Kind::Up))
            .collect::<Result<_>>()?;
        let trainer = [
            b.usual("trainer.hidden", wide[0], wide[0], Kind::Same)?,
            b.last("trainer.out", wide[0])?,
        ];
        let outer_stem = b.layer("outer.stem", (2, outer, 5), Kind::Same, weak, true)?;
        let outer_down = b.layer("outer.down", (outer, wide[0], 3), Kind::Down, weak, true)?;
        let outer_blocks = (0..OUTER_BLOCKS)
            .map(|i| b.block(&format!("outer.block{i}"), wide[0]))
            .collect::<Result<_>>()?;
        let outer_up = b.usual("outer.up", wide[0], outer, Kind::Up)?;
        let outer_last =
            [b.usual("outer.hidden", outer, outer, Kind::Same)?, b.last("outer.out", outer)?];
        Ok(Self {
            inner_stem,
            down,
            inner_blocks,
            up,
            trainer,
            outer_stem,
            outer_down,
            outer_blocks,
            outer_up,
            outer_last,
            parameters: b.parameters,
        })
    }

    /// Completes pictures. `full` is `[batch, height, width, 2]`, scan and mask; `half` the same at
    /// half the height and width. Sides are multiples of 32.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(&self, full: &Tensor, half: &Tensor, training: bool) -> Result<Outputs> {
        self.pass(full, half, if training { Pass::Train } else { Pass::Complete })
    }

    /// Sets every weight-normalised layer's gain and bias, layer by layer, so that what comes before
    /// its activation has mean 0 and standard deviation 1 in each channel for these pictures.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn start_from(&self, full: &Tensor, half: &Tensor) -> Result<()> {
        self.pass(full, half, Pass::Start).map(drop)
    }

    fn pass(&self, full: &Tensor, half: &Tensor, pass: Pass) -> Result<Outputs> {
        let run = |x: FeatureMaps, layers: &[Layer]| {
            layers.iter().try_fold(x, |x, layer| layer.run(&x, None, pass))
        };
        let blocks = |x: FeatureMaps, blocks: &[[Layer; 3]]| {
            blocks.iter().try_fold(x, |x, [a, b, c]| {
                let inside = b.run(&a.run(&x, None, pass)?, None, pass)?;
                c.run(&inside, Some(&x), pass)
            })
        };
        let x = self.inner_stem.run(&FeatureMaps::new(half)?, None, pass)?;
        let features = run(blocks(run(x, &self.down)?, &self.inner_blocks)?, &self.up)?;
        let inner = match pass {
            Pass::Complete => None,
            _ => Some(run(features.clone(), &self.trainer)?.into_tensor()?),
        };
        let x = self.outer_stem.run(&FeatureMaps::new(full)?, None, pass)?;
        let x = blocks(self.outer_down.run(&x, Some(&features), pass)?, &self.outer_blocks)?;
        let outer = run(self.outer_up.run(&x, None, pass)?, &self.outer_last)?.into_tensor()?;
        Ok(Outputs { features, inner, outer })
    }

    /// Its weights, gains and biases.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the data-dependent start the first layers' pre-activations have mean 0 and deviation 1:
    /// seen at the last one, which has no activation.
    #[test]
    fn a_start_from_data() {
        let generator = Generator::new(32, 1, &Device::Cpu).unwrap();
        let numbers = |side: usize| {
            let numbers = (0..side * side * 2).map(|i| (i as f32 * 0.37).sin()).collect();
            Tensor::from_vec(numbers, (1, side, side, 2), &Device::Cpu).unwrap()
        };
        let (full, half) = (numbers(64), numbers(32));
        generator.start_from(&full, &half).unwrap();
        let outputs = generator.forward(&full, &half, true).unwrap();
        for output in [outputs.inner.unwrap(), outputs.outer] {
            let output: Vec<f32> = output.flatten_all().unwrap().to_vec1().unwrap();
            let mean = output.iter().sum::<f32>() / output.len() as f32;
            let square = output.iter().map(|x| (x - mean).powi(2)).sum::<f32>();
            let std = (square / output.len() as f32).sqrt();
            assert!(mean.abs() < 1e-3 && (std - 1.0).abs() < 1e-3, "{mean} {std}");
        }
    }
}
