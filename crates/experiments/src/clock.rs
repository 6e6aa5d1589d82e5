//! Where the time of a step goes.

use std::time::{Duration, Instant};

/// A part of a training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for pictures.
    Data,
    /// The network and its losses.
    Forward,
    /// Adaptive learning rate clipping.
    Limiter,
    /// Gradients.
    Backward,
    /// New weights.
    Optimizer,
}

impl Phase {
    /// All, in the order of a step.
    pub const ALL: [Self; 5] =
        [Self::Data, Self::Forward, Self::Limiter, Self::Backward, Self::Optimizer];

    /// A word for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Forward => "forward",
            Self::Limiter => "ALRC",
            Self::Backward => "backward",
            Self::Optimizer => "optimiser",
        }
    }
}

/// Adds up the time of each phase.
#[derive(Clone, Debug)]
pub struct Clock {
    last: Instant,
    spent: [Duration; Phase::ALL.len()],
}

impl Default for Clock {
    fn default() -> Self {
        Self { last: Instant::now(), spent: Default::default() }
    }
}

impl Clock {
    /// A phase begins now, and what came before belongs to none.
    pub fn start(&mut self) {
        self.last = Instant::now();
    }

    /// A phase ends, and the next begins.
    pub fn end(&mut self, phase: Phase) {
        let now = Instant::now();
        self.spent[phase as usize] += now - self.last;
        self.last = now;
    }

    /// The time of a phase.
    pub fn spent(&self, phase: Phase) -> Duration {
        self.spent[phase as usize]
    }

    /// The time of all phases.
    pub fn total(&self) -> Duration {
        self.spent.iter().sum()
    }
}
