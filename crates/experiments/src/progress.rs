//! What a person sees while a run goes on: a bar on a terminal, a line now and then elsewhere.

use crate::metrics::Record;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Set once the user has asked to stop.
static STOP: AtomicBool = AtomicBool::new(false);

/// From now on, Ctrl-C (and a request to terminate) asks runs to stop at a checkpoint; a second
/// one ends the program at once.
pub fn stop_on_ctrl_c() {
    // An error means that a handler is there already: then that one stays.
    let _ = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
}

/// Whether the user has asked to stop.
pub fn stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// The progress of one run.
#[derive(Debug)]
pub struct RunProgress {
    bar: ProgressBar,
    name: String,
    steps: u64,
    terminal: bool,
    lines: bool,
    raw: f64,
    clipped: u64,
}

impl RunProgress {
    /// A bar named after a run's folder, below the others of `group`.
    pub fn new(group: &MultiProgress, folder: &Path, steps: u64) -> Self {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let bar = group.add(ProgressBar::new(steps));
        let style = "{prefix:24} {bar:24} {pos}/{len} steps, {eta} left, {msg}";
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_prefix(name.to_string());
        let terminal = std::io::stderr().is_terminal();
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        let name = name.into_owned();
        Self { bar, name, steps, terminal, lines: !terminal, raw: f64::NAN, clipped: 0 }
    }

    /// No lines where there is no terminal.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.lines = false;
        self
    }

    /// Starts at a later step, for a resumed run.
    pub fn start_at(&mut self, step: u64) {
        self.bar.set_position(step);
        self.bar.reset_eta();
    }

    /// Shows a step.
    pub fn step(&mut self, row: &impl Record) {
        let raw = f64::from(row.raw());
        self.raw = if self.raw.is_finite() { self.raw + 0.02 * (raw - self.raw) } else { raw };
        self.clipped += row.clipped_count().unwrap_or(0);
        let message = || format!("loss {:.2}, {} clipped", self.raw, self.clipped);
        self.bar.set_position(row.step());
        if self.terminal {
            if row.step().is_multiple_of(20) {
                self.bar.set_message(message());
            }
        } else if self.lines && row.step().is_multiple_of((self.steps / 5).max(1)) {
            eprintln!("{}: step {} of {}, {}", self.name, row.step(), self.steps, message());
        }
    }

    /// Ends with a last word.
    pub fn finish(&self, word: &str) {
        self.bar.finish_with_message(word.to_owned());
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
