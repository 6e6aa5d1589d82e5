//! Where tensors live.

use anyhow::{Context, Result};
use candle_core::Device;
use serde::{Deserialize, Serialize};

/// A device by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// The first CUDA device; needs a build with `--features cuda`.
    Cuda,
    /// The first Metal device; needs a build with `--features metal`.
    Metal,
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// The program was built without support for it, or the machine has none.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0)
                .context("--device cuda: build with `--features cuda` on a machine with CUDA"),
            Self::Metal => Device::new_metal(0)
                .context("--device metal: build with `--features metal` on a Mac"),
        }
    }
}

/// A pool of `threads` threads for all work of a run; results do not depend on the number.
///
/// # Errors
/// The system gives no threads.
pub fn thread_pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .with_context(|| format!("cannot start {threads} threads; give fewer with --threads"))
}

/// How many threads the machine runs at once.
pub fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
