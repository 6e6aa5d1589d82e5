//! The layer: losses in, clipped losses with the right gradient out.

use crate::{Clipper, Config, Error, Moments, Report, Result, State};
use candle_core::{DType, Tensor};

/// Clipped losses and what was done to them.
#[derive(Clone, Debug)]
pub struct Clipped {
    /// The clipped losses, of the shape, type and device of the losses. Their gradient is the
    /// losses' gradient times a constant factor: 1 inside the bounds, `bound / loss` outside.
    pub losses: Tensor,
    /// What was clipped, and at which bounds.
    pub report: Report,
}

/// A step that is to be skipped: its losses are not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skipped {
    /// Position of the first bad loss in the flattened batch, counted from 0.
    pub index: usize,
    /// Its value: NaN, infinite, or beyond 1e150.
    pub value: f64,
    /// How many losses of the batch are so.
    pub non_finite: usize,
    /// How many steps in a row have been skipped, this one included.
    pub in_a_row: u64,
}

/// What to do with a step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Go on with the clipped losses.
    Train(Clipped),
    /// Leave weights and optimiser alone; the moments are unchanged too.
    Skip(Skipped),
}

/// Adaptive learning rate clipping as a layer.
///
/// # Example
/// ```
/// use alrc_candle::{Alrc, Config, Limit, Moments, Step};
/// use candle_core::{Device, Tensor};
///
/// let config = Config { limit: Limit::Above(2.0), ..Config::default() };
/// let mut alrc = Alrc::new(config, Moments::new(1.0, 4.0)?)?;
/// let losses = Tensor::new(&[1.0_f32, 100.0], &Device::Cpu)?;
/// let clipped = alrc.forward(&losses)?;
/// assert_eq!(clipped.losses.to_vec1::<f32>()?, [1.0, 5.0]);
/// assert_eq!(clipped.report.above, 1);
///
/// let broken = Tensor::new(&[1.0_f32, f32::NAN], &Device::Cpu)?;
/// match alrc.forward_or_skip(&broken)? {
///     Step::Train(clipped) => { /* backward step on clipped.losses.mean_all()? */ }
///     Step::Skip(skipped) => assert_eq!(skipped.index, 1),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Alrc {
    pub(crate) clipper: Clipper,
    pub(crate) skipped_in_a_row: u64,
    pub(crate) skipped_total: u64,
    max_skips: u64,
}

impl Alrc {
    /// A layer that starts from [`Moments`], an [`Estimate`](crate::Estimate), or a saved
    /// [`State`].
    ///
    /// # Errors
    /// A setting outside its range; the message names it, its value and the range.
    pub fn new(config: Config, start: impl Into<State>) -> Result<Self> {
        Ok(Self::from(Clipper::new(config, start)?))
    }

    /// Clips losses of any shape, one per example, and learns their moments.
    ///
    /// f16 and bf16 losses are clipped with f32 precision, and the factors rounded to their type.
    /// With an offset, the clipped losses are `factor * (loss + offset) - offset`.
    ///
    /// # Errors
    /// - [`Error::Alrc`] if the batch is empty or a loss is not finite: the message gives its
    ///   position in the flattened batch. The moments are unchanged.
    /// - [`Error::LossType`] if the losses are not floating-point numbers.
    pub fn forward(&mut self, losses: &Tensor) -> Result<Clipped> {
        let clipped = clip(losses, &self.clipper)?;
        self.clipper.observe(&clipped.report.batch)?;
        self.skipped_in_a_row = 0;
        Ok(clipped)
    }

    /// Clips losses without learning from them, for example while evaluating.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_frozen(&self, losses: &Tensor) -> Result<Clipped> {
        clip(losses, &self.clipper)
    }

    /// As [`forward`](Self::forward), but a batch with losses that are not finite is counted and
    /// reported as a step to skip. Then call neither `backward` nor the optimiser.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), except that losses that are not finite are an error only
    /// once [`max_skips`](Self::with_max_skips) steps in a row had some:
    /// [`Error::TooManySkips`].
    pub fn forward_or_skip(&mut self, losses: &Tensor) -> Result<Step> {
        let (index, value, non_finite) = match self.forward(losses) {
            Ok(clipped) => return Ok(Step::Train(clipped)),
            Err(Error::Alrc(alrc_core::Error::BadLoss { index, value, count })) => {
                (index, value, count)
            }
            Err(error) => return Err(error),
        };
        self.skipped_in_a_row += 1;
        self.skipped_total += 1;
        let in_a_row = self.skipped_in_a_row;
        if in_a_row >= self.max_skips {
            return Err(Error::TooManySkips { in_a_row, index, value });
        }
        Ok(Step::Skip(Skipped { index, value, non_finite, in_a_row }))
    }

    /// Sets how many steps in a row [`forward_or_skip`](Self::forward_or_skip) skips before it
    /// gives up: 100 unless set.
    #[must_use]
    pub fn with_max_skips(self, max_skips: u64) -> Self {
        Self { max_skips, ..self }
    }

    /// How many steps have been skipped in all.
    pub fn skipped(&self) -> u64 {
        self.skipped_total
    }

    /// The clipper: its settings, moments and next bounds.
    pub fn clipper(&self) -> &Clipper {
        &self.clipper
    }

    /// The clipper, to rescale or reset it, or to observe what other workers saw.
    pub fn clipper_mut(&mut self) -> &mut Clipper {
        &mut self.clipper
    }
}

impl From<Clipper> for Alrc {
    fn from(clipper: Clipper) -> Self {
        Self { clipper, skipped_in_a_row: 0, skipped_total: 0, max_skips: 100 }
    }
}

/// The paper's settings and start: above 3 standard deviations, decay 0.999, mean 25, mean square
/// 900.
impl Default for Alrc {
    fn default() -> Self {
        let clipper = Clipper::new(Config::default(), Moments::default());
        Self::from(clipper.expect("the defaults are valid"))
    }
}

/// Clips without learning.
fn clip(losses: &Tensor, clipper: &Clipper) -> Result<Clipped> {
    let (shape, dtype) = (losses.shape(), losses.dtype());
    let values = losses.detach().flatten_all()?;
    let (report, factors) = match dtype {
        DType::F64 => {
            let values = values.to_vec1::<f64>()?;
            let mut factors = vec![1.0; values.len()];
            let report = clipper.factors_only(&values, &mut factors)?;
            (report, Tensor::from_vec(factors, shape, losses.device())?)
        }
        DType::F32 | DType::F16 | DType::BF16 => {
            let values = values.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            let mut factors = vec![1.0; values.len()];
            let report = clipper.factors_only(&values, &mut factors)?;
            if dtype == DType::F16 {
                fit_f16(&values, &mut factors);
            }
            let factors = Tensor::from_vec(factors, shape, losses.device())?;
            (report, factors.to_dtype(dtype)?)
        }
        _ => {
            return Err(Error::LossType { shape: shape.clone(), dtype });
        }
    };
    if report.clipped() == 0 {
        return Ok(Clipped { losses: losses.clone(), report });
    }
    let offset = clipper.config().offset;
    let clipped = if offset == 0.0 {
        (losses * factors)?
    } else {
        (((losses + offset)? * factors)? - offset)?
    };
    Ok(Clipped { losses: clipped, report })
}

/// Lowers factors so that they, and their products with the losses, are finite in f16.
fn fit_f16(losses: &[f32], factors: &mut [f32]) {
    const LARGEST: f32 = 65504.0;
    for (factor, loss) in factors.iter_mut().zip(losses) {
        *factor = factor.min(LARGEST).min(LARGEST / loss.abs());
    }
}
