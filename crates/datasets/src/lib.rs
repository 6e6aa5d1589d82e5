//! Pictures to train on, and what is done to them before training.
//!
//! - [`cifar10`] reads the binary files of CIFAR-10, whole or a subset;
//! - [`dead_leaves`] makes pictures on the spot, where nothing has been downloaded;
//! - [`Augmentation`], [`standardize`] and [`resize`] prepare them;
//! - [`Stream`] draws endless shuffled, augmented batches from them, with a state that is one
//!   number.
//!
//! This crate knows nothing of networks or of loss clipping.
#![forbid(unsafe_code)]

mod augment;
pub mod cifar10;
mod dead_leaves;
mod error;
#[cfg(feature = "hub")]
pub mod hub;
mod pictures;
mod resize;
mod stream;

pub use augment::{Augmentation, standardize};
pub use dead_leaves::dead_leaves;
pub use error::Error;
pub use pictures::{CHANNELS, Pictures, SIDE, SIZE};
pub use resize::resize;
pub use stream::Stream;
