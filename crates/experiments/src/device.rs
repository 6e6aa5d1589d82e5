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

/// Starts the program anew with Candle's own pool for elementwise operations at one thread: its
/// other threads wait in a loop that takes processors from training, which shares out its work
/// itself (a step at width 64 and batch 1 takes half the time). Candle reads the number from the
/// environment alone, and a running program cannot change that safely.
#[cfg(unix)]
pub fn quiet_candle() {
    use std::os::unix::process::CommandExt;
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let arguments = std::env::args_os().skip(1);
        let error = std::process::Command::new(program).args(arguments).env(VARIABLE, "1").exec();
        // Still here: then it is slower, and right all the same.
        eprintln!("warning: cannot restart with {VARIABLE}=1 ({error}); training will be slower");
    }
}

/// As on Unix; elsewhere a program cannot take its own place.
#[cfg(not(unix))]
pub fn quiet_candle() {}
