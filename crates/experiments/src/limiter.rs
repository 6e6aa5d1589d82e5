//! What limits the losses of a run: nothing, ALRC, or ALRC with the published scripts' moments.

use alrc_candle::{Alrc, Bounds, Clipped, Config, Estimate, Limit, Moments, Report, Skipped, Step};
use anyhow::{Context, Result, anyhow, bail};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// The clipping threshold in standard deviations, or none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "NumberOrWord", into = "NumberOrWord")]
pub struct Threshold(pub Option<f64>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NumberOrWord {
    Number(f64),
    Word(String),
}

impl TryFrom<NumberOrWord> for Threshold {
    type Error = anyhow::Error;
    fn try_from(value: NumberOrWord) -> Result<Self> {
        match value {
            NumberOrWord::Number(n) => n.to_string().parse(),
            NumberOrWord::Word(word) => word.parse(),
        }
    }
}

impl From<Threshold> for NumberOrWord {
    fn from(threshold: Threshold) -> Self {
        threshold.0.map_or_else(|| Self::Word("none".into()), Self::Number)
    }
}

impl FromStr for Threshold {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self(None));
        }
        match text.parse() {
            Ok(n) if 0.0 <= n && n < f64::INFINITY => Ok(Self(Some(n))),
            _ => bail!("`{text}`: expected `none` or a number of standard deviations, at least 0"),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(n) => n.fmt(f),
        }
    }
}

/// Where the moments start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StartMoments {
    /// Known raw moments: mean and mean square.
    Raw(f64, f64),
    /// Estimated from the first 10 steps, three times over.
    Estimate,
}

impl Default for StartMoments {
    fn default() -> Self {
        Self::Raw(25.0, 900.0)
    }
}

impl FromStr for StartMoments {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        if text == "estimate" {
            return Ok(Self::Estimate);
        }
        let numbers = text
            .split_once(',')
            .and_then(|(mu1, mu2)| Some((mu1.trim().parse().ok()?, mu2.trim().parse().ok()?)));
        let Some((mu1, mu2)) = numbers else {
            bail!("`{text}`: expected `estimate`, or mean and mean square such as `25,900`");
        };
        Moments::from_raw(mu1, mu2).map_err(|error| anyhow!("start moments `{text}`: {error}"))?;
        Ok(Self::Raw(mu1, mu2))
    }
}

impl TryFrom<String> for StartMoments {
    type Error = anyhow::Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for StartMoments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(mu1, mu2) => write!(f, "{mu1},{mu2}"),
            Self::Estimate => f.write_str("estimate"),
        }
    }
}

impl From<StartMoments> for String {
    fn from(start: StartMoments) -> Self {
        start.to_string()
    }
}

/// Limits the losses of a run.
#[derive(Clone, Debug)]
pub enum Limiter {
    /// Nothing is clipped. The layer still finds losses that are not finite.
    None(Alrc),
    /// The layer.
    Alrc(Alrc),
    /// The layer's clipping at bounds from the moments of the published scripts.
    Published(PublishedMoments),
}

/// The slip of the published supersampling scripts, kept as an arm of its own: averages
/// `0.997 * mu + 0.001 * x`, whose weights do not sum to 1, so that they settle at a third of the
/// true moments; start 10 and 400; epsilon 0.001.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PublishedMoments {
    n: f64,
    mu1: f64,
    mu2: f64,
}

impl PublishedMoments {
    fn std_dev(&self) -> f64 {
        (self.mu2 - self.mu1 * self.mu1 + 0.001).max(0.0).sqrt()
    }

    fn upper(&self) -> f64 {
        self.mu1 + self.n * self.std_dev()
    }

    fn learn(&mut self, report: &Report) {
        let (mean, variance) = (report.batch.mean(), report.batch.variance());
        self.mu1 = 0.997 * self.mu1 + 0.001 * mean;
        self.mu2 = 0.997 * self.mu2 + 0.001 * (variance + mean * mean);
    }
}

/// What a limiter made of a batch.
#[derive(Clone, Debug)]
pub enum Limited {
    /// Train on these losses; the record is there if clipping is on.
    Train(Tensor, Option<ClipRecord>),
    /// Leave weights and optimiser alone: this loss is not finite.
    Skip(Skipped),
}

/// What clipping did in one step.
#[derive(Clone, Copy, Debug)]
pub struct ClipRecord {
    /// The mean of the clipped losses.
    pub clipped: f32,
    /// The upper bound; absent while the start is being estimated.
    pub upper: Option<f64>,
    /// The running mean that gave it; absent while the start is being estimated.
    pub mean: Option<f64>,
    /// The standard deviation that gave it; absent while the start is being estimated.
    pub std: Option<f64>,
    /// How many losses were clipped.
    pub count: u64,
}

fn fixed(bounds: Bounds) -> Result<Alrc> {
    let config = Config { limit: Limit::Fixed(bounds), ..Config::default() };
    Ok(endless(Alrc::new(config, Moments::default())?))
}

/// The training loop counts skipped steps, in whatever way they are limited.
fn endless(layer: Alrc) -> Alrc {
    layer.with_max_skips(u64::MAX)
}

impl Limiter {
    /// A limiter at its start.
    ///
    /// # Errors
    /// The start moments are not valid.
    pub fn new(threshold: Threshold, start: StartMoments, published_moments: bool) -> Result<Self> {
        let Some(n) = threshold.0 else {
            return Ok(Self::None(fixed(Bounds::NONE)?));
        };
        if published_moments {
            return Ok(Self::Published(PublishedMoments { n, mu1: 10.0, mu2: 400.0 }));
        }
        let config = Config { limit: Limit::Above(n), ..Config::default() };
        let alrc = match start {
            StartMoments::Raw(mu1, mu2) => Alrc::new(config, Moments::from_raw(mu1, mu2)?)?,
            StartMoments::Estimate => Alrc::new(config, Estimate::default())?,
        };
        Ok(Self::Alrc(endless(alrc)))
    }

    /// Limits losses, or says that the step is to be skipped.
    ///
    /// # Errors
    /// The losses are not of a float type, or there are none.
    pub fn forward(&mut self, losses: &Tensor) -> Result<Limited> {
        let step = match self {
            Self::None(layer) | Self::Alrc(layer) => layer.forward_or_skip(losses)?,
            Self::Published(moments) => {
                fixed(Bounds::new(None, Some(moments.upper()))?)?.forward_or_skip(losses)?
            }
        };
        let Clipped { losses, report } = match step {
            Step::Train(clipped) => clipped,
            Step::Skip(skipped) => return Ok(Limited::Skip(skipped)),
        };
        let moments = match self {
            Self::None(_) => return Ok(Limited::Train(losses, None)),
            Self::Alrc(_) => report.moments.map(|moments| (moments.mean(), report.sigma)),
            Self::Published(moments) => {
                let before = (moments.mu1, moments.std_dev());
                moments.learn(&report);
                Some(before)
            }
        };
        let record = ClipRecord {
            clipped: report.batch.mean() as f32,
            upper: Some(report.bounds.upper()).filter(|upper| upper.is_finite()),
            mean: moments.map(|(mean, _)| mean),
            std: moments.map(|(_, std)| std),
            count: report.clipped(),
        };
        Ok(Limited::Train(losses, Some(record)))
    }

    /// The state as tensors, named `alrc.…`.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn state(&self) -> Result<HashMap<String, Tensor>> {
        match self {
            Self::None(layer) | Self::Alrc(layer) => Ok(layer.state("alrc")?),
            Self::Published(moments) => {
                let raw = Tensor::new(&[moments.mu1, moments.mu2], &Device::Cpu)?;
                Ok(HashMap::from([("alrc.published".to_owned(), raw)]))
            }
        }
    }

    /// Restores what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// A tensor is missing or not valid: the message names it.
    pub fn load_state(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        match self {
            Self::None(layer) | Self::Alrc(layer) => layer.load_state("alrc", tensors)?,
            Self::Published(moments) => {
                let saved = tensors.get("alrc.published").context("`alrc.published` is missing")?;
                let values = saved.to_vec1::<f64>()?;
                let [mu1, mu2] = values[..] else {
                    bail!("`alrc.published` holds {} numbers; expected 2", values.len())
                };
                (moments.mu1, moments.mu2) = (mu1, mu2);
            }
        }
        Ok(())
    }
}
