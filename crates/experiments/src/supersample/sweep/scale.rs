//! How large a sweep is: the grid as it is, or cut down to what a laptop can do.

use crate::supersample::Settings;
use serde::{Deserialize, Serialize};

/// How large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// At most 3 minutes on two cores, for the presets: whether everything works.
    Quick,
    /// Some hours: narrow networks, fewer steps.
    Reduced,
    /// The grid as it is; the presets are the paper's.
    Paper,
}

/// Upper limits of settings. A limit left out limits nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Of the width; wider networks are made narrower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Of the batch; runs with larger ones are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Of the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Of the steps times the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examples: Option<u64>,
    /// Of the repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u64>,
}

impl Limits {
    /// Of the scale `quick`, unless the grid has its own.
    pub const QUICK: Self = Self {
        width: Some(4),
        batch: Some(16),
        steps: Some(2_000),
        examples: Some(4_000),
        repeats: Some(2),
    };
    /// Of the scale `reduced`, unless the grid has its own.
    pub const REDUCED: Self = Self {
        width: Some(8),
        batch: Some(16),
        steps: Some(20_000),
        examples: Some(80_000),
        repeats: Some(3),
    };

    /// These limits, except where others are given.
    #[must_use]
    pub fn overridden(self, others: &Self) -> Self {
        Self {
            width: others.width.or(self.width),
            batch: others.batch.or(self.batch),
            steps: others.steps.or(self.steps),
            examples: others.examples.or(self.examples),
            repeats: others.repeats.or(self.repeats),
        }
    }

    /// The settings within the limits; none if the batch is too large.
    pub fn cut(&self, mut settings: Settings) -> Option<Settings> {
        if self.batch.is_some_and(|most| settings.batch > most) {
            return None;
        }
        let examples = self.examples.map(|most| (most / settings.batch.max(1) as u64).max(1));
        let most = self.steps.into_iter().chain(examples);
        settings.steps = most.fold(settings.steps, u64::min);
        settings.width = settings.width.min(self.width.unwrap_or(usize::MAX));
        Some(settings)
    }
}
