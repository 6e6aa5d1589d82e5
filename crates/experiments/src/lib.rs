//! The experiments of "Adaptive Learning Rate Clipping Stabilizes Learning" (Ede, Beanland, 2020),
//! and what they share: parameters, optimisers, limiters, records, checkpoints, figures.
//!
//! The programs in `src/bin` are thin: they read the command line and call this library.
#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod clock;
pub mod curve;
pub mod device;
pub mod figure;
pub mod files;
pub mod limiter;
pub mod metrics;
pub mod optimizer;
pub mod parameters;
pub mod prefetch;
pub mod progress;
pub mod run;
pub mod stem;
pub mod summary;
pub mod supersample;
pub mod tensorboard;
