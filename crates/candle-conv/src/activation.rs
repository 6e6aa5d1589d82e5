//! Activations that are applied while a convolution's result is still in the cache.

/// What is applied to each number of a convolution's result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(x, 0)`; its gradient at 0 is 0.
    Relu,
    /// `x` above 0, else `slope * x`, for a slope above 0; its gradient at 0 is the slope.
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
    if x < 0.0 { slope * x } else { x }
}

/// The gradient before the activation, from that after it and the activation's result.
#[inline(always)]
pub(crate) fn pull_back(gradient: f32, result: f32, slope: f32) -> f32 {
    if result > 0.0 { gradient } else { slope * gradient }
}
