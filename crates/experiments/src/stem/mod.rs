//! Partial-STEM: a network completes electron micrographs from spiral scans.

mod complete;
mod coverage;
mod data;
mod demo;
mod evaluate;
pub mod files;
mod loss;
mod network;
mod plain;
mod record;
mod schedule;
mod settings;
mod trainer;
mod weight_norm;

pub use complete::{Partial, mask_for};
pub use coverage::Coverage;
pub use data::{Batch, Data, Scan, TestData, test_scan};
pub use demo::{DemoOptions, demo};
pub use evaluate::{Evaluation, MeanSquare, completed, evaluate};
pub use loss::raw_loss;
pub use network::{Generator, Outputs};
pub use plain::{harmonic, known, nearest};
pub use record::Row;
pub use schedule::learning_rate;
pub use settings::Settings;
pub use trainer::Trainer;
pub use weight_norm::weight_norm;
