//! A fixed part of the runs, so that many machines share a sweep.

use anyhow::{Result, bail};
use std::fmt;
use std::str::FromStr;

/// The `number`-th of `count` parts; counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    count: usize,
}

/// Everything.
impl Default for Shard {
    fn default() -> Self {
        Self { number: 1, count: 1 }
    }
}

impl Shard {
    /// Its runs: every `count`-th. They do not depend on what is done already.
    pub fn of<T>(self, runs: &[T]) -> impl Iterator<Item = &T> {
        runs.iter().skip(self.number - 1).step_by(self.count)
    }
}

impl FromStr for Shard {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((number, count)) if 1 <= number && number <= count => Ok(Self { number, count }),
            _ => bail!("`{text}`: expected I/N with 1 <= I <= N, such as 1/8"),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 1 {
            return Ok(());
        }
        write!(f, ", of which this is part {} of {}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::Shard;

    #[test]
    fn parts_are_disjoint_and_together_everything() {
        let runs: Vec<u32> = (0..23).collect();
        for count in 1..=25 {
            let parts = (1..=count).flat_map(|number| {
                let shard: Shard = format!("{number}/{count}").parse().unwrap();
                shard.of(&runs).copied().collect::<Vec<_>>()
            });
            let mut all: Vec<u32> = parts.collect();
            all.sort_unstable();
            assert_eq!(all, runs, "{count}");
        }
        for bad in ["0/2", "3/2", "1", "a/b", "1/0", ""] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
