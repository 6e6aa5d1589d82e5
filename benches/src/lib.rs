//! Timing of training steps.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Args;
use experiments::clock::{Clock, Phase};
use experiments::device::{available_threads, thread_pool};
use experiments::run::Experiment;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// How long, and how it is shown.
#[derive(Args, Clone, Copy)]
pub struct Options {
    /// Steps; by default as many as take about 3 seconds, but at least 6.
    #[arg(long)]
    steps: Option<usize>,
    /// Threads; by default as many as the machine runs at once.
    #[arg(long)]
    threads: Option<usize>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

impl Options {
    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(available_threads)
    }

    /// Times an experiment's steps, and prints what was found, with `what` was timed. `flops` is the
    /// number of operations of a step as direct convolutions, if it is known.
    ///
    /// # Errors
    /// A step fails, or the system does not tell the peak of the memory.
    pub fn time<E: Experiment>(
        &self,
        what: &[(&str, usize)],
        flops: Option<f64>,
        make: impl FnOnce() -> Result<E> + Send,
    ) -> Result<()> {
        let (mut times, clock) = thread_pool(self.threads())?.install(|| self.steps(make()?))?;
        times.sort_unstable();
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let (best, median) = (milliseconds(times[0]), milliseconds(times[times.len() / 2]));
        let gflops = flops.map(|flops| flops / best / 1e6);
        let peak = peak_mib()?;
        let share = |phase| clock.spent(phase).as_secs_f64() / clock.total().as_secs_f64();
        if self.json {
            let mut json: Map<String, Value> =
                what.iter().map(|&(name, number)| (name.to_owned(), number.into())).collect();
            let shares: Map<_, _> =
                Phase::ALL.iter().map(|&p| (p.name().to_owned(), share(p).into())).collect();
            json.extend([
                ("threads".to_owned(), self.threads().into()),
                ("steps".to_owned(), times.len().into()),
                ("ms_best".to_owned(), best.into()),
                ("ms_median".to_owned(), median.into()),
                ("gflops".to_owned(), json!(gflops)),
                ("peak_mib".to_owned(), peak.into()),
                ("shares".to_owned(), shares.into()),
            ]);
            println!("{}", Value::from(json));
            return Ok(());
        }
        let what: Vec<String> =
            what.iter().map(|(name, value)| format!("{name} {value}")).collect();
        println!("{}, {} threads", what.join(", "), self.threads());
        println!("{best:.2} ms best, {median:.2} ms median of {} steps", times.len());
        if let Some(gflops) = gflops {
            println!("{gflops:.0} GFLOP/s, counted as direct convolutions");
        }
        let shares =
            Phase::ALL.map(|phase| format!("{} {:.1} %", phase.name(), 1e2 * share(phase)));
        println!("{}", shares.join(", "));
        println!("{peak:.0} MiB at the peak");
        Ok(())
    }

    fn steps<E: Experiment>(&self, mut experiment: E) -> Result<(Vec<Duration>, Clock)> {
        let mut batches = experiment.batches(0)?;
        let mut number = 0;
        let mut step = |clock: &mut Clock| -> Result<Duration> {
            let started = Instant::now();
            clock.start();
            let batch = batches.wait()?;
            clock.end(Phase::Data);
            number += 1;
            experiment.step(batch, number, clock)?;
            Ok(started.elapsed())
        };
        for _ in 0..WARM_UP {
            step(&mut Clock::default())?;
        }
        let (mut times, mut clock, started) = (Vec::new(), Clock::default(), Instant::now());
        loop {
            times.push(step(&mut clock)?);
            let enough = times.len() >= 6 && started.elapsed() > Duration::from_secs(3);
            if self.steps.map_or(enough, |steps| times.len() >= steps) {
                return Ok((times, clock));
            }
        }
    }
}

/// Steps that warm caches and buffers.
const WARM_UP: usize = 2;

/// The most memory that this process has held, in MiB.
fn peak_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")
        .context("peak memory is read from /proc, which this system does not have")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    Ok(kib.context("VmHWM in /proc/self/status")? / 1024.0)
}
