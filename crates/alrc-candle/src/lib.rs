#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[doc = include_str!("../COMBINING.md")]
pub mod combining {}

mod error;
mod layer;
mod state;

pub use alrc_core::{
    BatchMoments, Bounds, Clipper, Config, Estimate, Limit, Moments, Report, State,
};
pub use error::Error;
pub use layer::{Alrc, Clipped, Skipped, Step};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
