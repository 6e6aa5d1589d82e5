//! Fast convolutions with gradients for Candle on the CPU.
//!
//! [`conv2d`] convolves channels-last f32 pictures and applies bias and activation in the same pass
//! over memory, forwards and backwards. 3x3 kernels at stride 1 go through Winograd's F(4x4, 3x3),
//! with a quarter of the multiplications; other kernels through one matrix product over gathered
//! patches. Gradients that nobody asks for are not computed. Where this does not apply (another
//! device, another type) Candle's own convolution is used.
//!
//! Results do not depend on the number of threads.

// Kernels index several arrays by one lane number; iterators would hide which.
#![allow(clippy::needless_range_loop)]

mod activation;
mod buffer;
mod conv;
mod geometry;
mod matrix;
mod patches;
mod permuted;
mod scatter;
mod shared;
mod sums;
mod vectorized;
mod winograd;

pub use activation::Activation;
pub use conv::conv2d;
