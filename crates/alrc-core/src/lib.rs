#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod batch;
mod bounds;
mod clipper;
mod config;
mod error;
mod estimate;
mod float;
mod kernel;
mod moments;
mod report;

pub use batch::BatchMoments;
pub use bounds::Bounds;
pub use clipper::{Clipper, State};
pub use config::{Config, Limit};
pub use error::Error;
pub use estimate::Estimate;
pub use float::Float;
pub use moments::Moments;
pub use report::Report;

/// The largest magnitude of a loss, and of the mean of losses: `1e150`.
///
/// Its square, and the sum of 10 million such squares, still fits an `f64`, so no variance in this
/// crate overflows. Larger losses are rejected like infinite ones. Every finite `f32` is smaller.
pub const LARGEST_LOSS: f64 = 1e150;
