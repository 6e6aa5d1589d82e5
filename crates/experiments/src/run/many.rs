//! Several runs side by side.

use crate::device::thread_pool;
use anyhow::{Context, Result, anyhow};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The first of `demo-1`, `demo-2`, … that does not exist in a folder.
///
/// # Errors
/// There are 4 billion of them.
pub fn next_folder(runs: &Path) -> Result<PathBuf> {
    let mut numbers = 1..u32::MAX;
    let free = numbers.find(|number| !runs.join(format!("demo-{number}")).exists());
    let free = free.with_context(|| format!("{}: no free folder", runs.display()))?;
    Ok(runs.join(format!("demo-{free}")))
}

/// Trains all jobs, `parallel` of them side by side, each on so many threads; gives what came out in
/// their order.
///
/// # Errors
/// The first that a run gives; runs that are under way end before, others do not begin.
pub fn train_all<J: Sync, R: Clone + Send>(
    jobs: &[J],
    parallel: usize,
    threads: usize,
    train: impl Fn(&J) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let queue = Mutex::new((0..jobs.len()).collect::<VecDeque<_>>());
    let results = Mutex::new(vec![None; jobs.len()]);
    let work = || -> Result<()> {
        let pool = thread_pool(threads)?;
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(number) = next else { return Ok(()) };
            let result = pool.install(|| train(&jobs[number])).inspect_err(|_| {
                queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
            })?;
            results.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(result);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..parallel.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| anyhow!("a training thread panicked"))?
        })
    })?;
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().collect::<Option<Vec<_>>>().context("every run has a result")
}
