//! Pictures to train on, and what is done to them before training.
//!
//! - [`cifar10`] reads the binary files of CIFAR-10, whole or a subset;
//! - [`dead_leaves`] makes pictures on the spot, where nothing has been downloaded;
//! - [`Augmentation`], [`standardize`] and [`resize`] prepare them;
//! - [`micrograph`] reads electron micrographs, and [`Crops`] are squares of them, read when they are
//!   asked for; or atomic lattices made on the spot;
//! - [`spiral_mask`] and [`partial_scan`] make partial scans of them;
//! - [`Stream`] and [`CropStream`] draw endless shuffled, augmented batches from them, with a state that is one
//!   number.
//!
//! This crate knows nothing of networks or of loss clipping.
#![forbid(unsafe_code)]

mod augment;
pub mod cifar10;
mod crops;
mod dead_leaves;
mod error;
#[cfg(feature = "hub")]
pub mod hub;
mod lattice;
pub mod micrograph;
mod order;
mod partial_scan;
mod pictures;
mod resize;
mod spiral;
mod stream;

pub use augment::{Augmentation, standardize};
pub use crops::{CropStream, Crops, Split};
pub use dead_leaves::dead_leaves;
pub use error::Error;
pub use lattice::lattice;
pub use partial_scan::{blur, partial_scan, to_unit, weight};
pub use pictures::{CHANNELS, Pictures, SIDE, SIZE};
pub use resize::{resize, resize_to};
pub use spiral::spiral_mask;
pub use stream::Stream;
