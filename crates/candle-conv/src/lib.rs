#![doc = include_str!("../README.md")]
//!
//! 3x3 kernels at stride 1 go through Winograd's F(4x4, 3x3), with a quarter of the multiplications,
//! where there are enough pixels; other kernels through one matrix product over gathered pixels.
//! Gradients of pictures that nobody asks for are not computed.

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
