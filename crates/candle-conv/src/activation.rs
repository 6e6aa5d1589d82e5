//! Activations, and what else is applied while a convolution's result is still in the cache.

/// What is applied to each number of a convolution's result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(x, 0)`; its gradient at 0 is 0.
    Relu,
    /// `x` above 0, else `slope * x`; its gradient at 0 is the slope.
    LeakyRelu(f32),
}

impl Activation {
    /// The factor of numbers that are not above 0.
    pub(crate) fn slope(self) -> f32 {
        match self {
            Self::None => 1.0,
            Self::Relu => 0.0,
            Self::LeakyRelu(slope) => slope,
        }
    }
}

/// The activation of `x`; NaN stays NaN.
#[inline(always)]
pub(crate) fn activate(x: f32, slope: f32) -> f32 {
    let low = if slope == 0.0 { 0.0 } else { slope * x };
    if x < 0.0 { low } else { x }
}

/// The gradient before the activation, from that after it and whether the number was above 0.
#[inline(always)]
pub(crate) fn pull_back(gradient: f32, above: u8, slope: f32) -> f32 {
    if above != 0 { gradient } else { slope * gradient }
}

/// The way from a sum of products to the result: `activation(sum + bias) + residual`.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    pub bias: &'a [f32],
    pub slope: f32,
    /// As long as the result.
    pub residual: Option<&'a [f32]>,
}

impl Finish<'_> {
    /// Finishes some pixels, the first of which has its numbers at `start`. Notes which were above 0
    /// before the activation, unless `above` is empty.
    pub fn apply(&self, start: usize, y: &mut [f32], above: &mut [u8]) {
        for pixel in y.chunks_exact_mut(self.bias.len()) {
            pixel.iter_mut().zip(self.bias).for_each(|(y, bias)| *y += bias);
        }
        above.iter_mut().zip(&*y).for_each(|(above, &y)| *above = u8::from(y > 0.0));
        y.iter_mut().for_each(|y| *y = activate(*y, self.slope));
        if let Some(residual) = self.residual {
            y.iter_mut().zip(&residual[start..]).for_each(|(y, residual)| *y += residual);
        }
    }
}

/// The gradient of a result, and the way back from there.
#[derive(Clone, Copy)]
pub(crate) struct Gradient<'a> {
    pub values: &'a [f32],
    /// What [`Finish::apply`] noted; empty without activation.
    pub above: &'a [u8],
    pub slope: f32,
}
