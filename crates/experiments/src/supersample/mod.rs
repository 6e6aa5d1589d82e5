//! Supersampling of CIFAR-10: a network restores 32x32 pictures from their 16x16 versions.

mod data;
mod demo;
mod evaluate;
mod loss;
mod network;
mod record;
pub mod report;
mod schedule;
mod settings;
pub mod sweep;
mod trainer;

pub use data::{Batch, Data};
pub use demo::{DemoOptions, demo};
pub use evaluate::{Evaluation, evaluate, evaluate_file};
pub use loss::{LossKind, raw_losses, square_root_of_large};
pub use network::Network;
pub use record::Row;
pub use schedule::learning_rate;
pub use settings::Settings;
pub use trainer::Trainer;
