//! How long each benchmark is measured.

use criterion::Criterion;
use std::time::Duration;

/// A second each: the whole takes about a minute.
pub fn settings() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}
