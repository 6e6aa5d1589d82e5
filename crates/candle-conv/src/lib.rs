//! Fast convolutions with gradients for Candle on the CPU.
//!
//! [`conv2d`] and [`conv_transpose2d`] convolve channels-last f32 pictures and apply bias and
//! activation in the same pass over memory, forwards and backwards; [`Conv2d`] and
//! [`ConvTranspose2d`] are layers of them. A network's convolutions are faster on [`FeatureMaps`],
//! which also add a residual in that pass.
//!
//! 3x3 kernels at stride 1 go through Winograd's F(4x4, 3x3), with a quarter of the
//! multiplications; other kernels through one matrix product over gathered patches. Gradients of
//! pictures that nobody asks for are not computed. Where this does not apply (another device,
//! another type, dilation, groups) Candle's own convolution is used.
//!
//! Results do not depend on the number of threads.

// Kernels index several arrays by one lane number; iterators would hide which.
#![allow(clippy::needless_range_loop)]

mod activation;
mod buffer;
mod by_candle;
mod columns;
mod config;
mod conv;
mod geometry;
mod layer;
mod maps;
mod matrix;
mod method;
mod operation;
mod patches;
mod permuted;
mod shared;
mod sums;
mod values;
mod vectorized;
mod winograd;

pub use activation::Activation;
pub use config::{ConvConfig, Padding};
pub use conv::{conv_transpose2d, conv2d};
pub use layer::{Conv2d, ConvTranspose2d};
pub use maps::FeatureMaps;
