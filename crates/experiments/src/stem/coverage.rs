//! The part of the pixels that a scan visits.

use anyhow::{Error, Result, bail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A coverage above 0 and at most 1, such as `1/20` or `0.05`; written as it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Coverage {
    text: String,
    value: f64,
}

impl Coverage {
    /// The number.
    pub fn value(&self) -> f64 {
        self.value
    }
}

impl Default for Coverage {
    fn default() -> Self {
        Self { text: "1/20".to_owned(), value: 1.0 / 20.0 }
    }
}

impl FromStr for Coverage {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let value = match text.split_once('/') {
            Some((above, below)) => {
                let part = |text: &str| text.trim().parse::<f64>().ok();
                part(above).zip(part(below)).map(|(above, below)| above / below)
            }
            None => text.trim().parse().ok(),
        };
        match value {
            Some(value) if 0.0 < value && value <= 1.0 => Ok(Self { text: text.to_owned(), value }),
            _ => bail!("`{text}`: expected a coverage above 0 and at most 1, such as 1/20 or 0.05"),
        }
    }
}

impl TryFrom<String> for Coverage {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Coverage> for String {
    fn from(coverage: Coverage) -> Self {
        coverage.text
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_and_numbers() {
        for (text, value) in [("1/20", 0.05), ("0.05", 0.05), ("1/17.9", 1.0 / 17.9), ("1", 1.0)] {
            assert_eq!(text.parse::<Coverage>().unwrap().value(), value);
        }
        for text in ["0", "-1/20", "2", "1/0", "nan", "1/x", ""] {
            let error = text.parse::<Coverage>().unwrap_err().to_string();
            assert!(error.contains("1/20"), "{error}");
        }
    }
}
