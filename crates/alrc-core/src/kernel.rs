//! The passes over a batch: check, then clip and sum up.

use crate::{BatchMoments, Bounds, Config, Error, Float};

/// Losses that are summed side by side: enough independent sums to fill vector registers.
const LANES: usize = 16;

/// What one pass over a batch found.
pub(crate) struct Pass {
    pub above: u64,
    pub below: u64,
    pub largest: f64,
    pub batch: BatchMoments,
}

/// Where the pass writes: the clipped losses in place of the losses, or their factors.
pub(crate) enum Output<'a, F> {
    Clipped(&'a mut [F]),
    Factors(&'a [F], &'a mut [F]),
}

/// Rejects a batch that is empty or holds a loss that is not usable.
pub(crate) fn check<F: Float>(losses: &[F]) -> Result<(), Error> {
    let good = |loss: &F| loss.abs() <= F::LARGEST; // false for NaN
    let mut chunks = losses.chunks_exact(LANES);
    let all_good = chunks.by_ref().all(|chunk| chunk.iter().fold(true, |all, x| all & good(x)))
        && chunks.remainder().iter().all(good);
    if all_good {
        return if losses.is_empty() { Err(Error::EmptyBatch) } else { Ok(()) };
    }
    let mut bad = losses.iter().enumerate().filter(|(_, loss)| !good(loss));
    match bad.next() {
        Some((index, loss)) => {
            Err(Error::BadLoss { index, value: loss.to_f64(), count: 1 + bad.count() })
        }
        None => Ok(()),
    }
}

/// Clips the losses of a checked, non-empty batch and sums up what they became.
pub(crate) fn run<F: Float>(config: &Config, bounds: Bounds, mut output: Output<'_, F>) -> Pass {
    let limits = Limits::new(config, bounds);
    let first = match &output {
        Output::Clipped(losses) => losses[0],
        Output::Factors(losses, _) => losses[0],
    };
    let mut sums = Sums::new(first, limits.apply(first).1);
    match &mut output {
        Output::Clipped(losses) => {
            let mut chunks = losses.chunks_exact_mut(LANES);
            for chunk in chunks.by_ref() {
                if let Ok(chunk) = <&mut [F; LANES]>::try_from(chunk) {
                    sums.count(&limits, chunk);
                    if limits.any_outside(chunk) {
                        chunk.iter_mut().for_each(|loss| *loss = limits.apply(*loss).1);
                    }
                    sums.add_chunk(chunk);
                }
            }
            for loss in chunks.into_remainder() {
                sums.count(&limits, core::slice::from_ref(loss));
                *loss = limits.apply(*loss).1;
                sums.add(0, *loss);
            }
        }
        Output::Factors(losses, factors) => {
            let mut chunks = losses.chunks_exact(LANES);
            let mut outputs = factors.chunks_exact_mut(LANES);
            for (chunk, factors) in chunks.by_ref().zip(outputs.by_ref()) {
                if let Ok(chunk) = <&[F; LANES]>::try_from(chunk) {
                    sums.count(&limits, chunk);
                    let mut clipped = *chunk;
                    factors.fill(F::ONE);
                    if limits.any_outside(chunk) {
                        for (loss, factor) in clipped.iter_mut().zip(factors) {
                            (*factor, *loss) = limits.apply(*loss);
                        }
                    }
                    sums.add_chunk(&clipped);
                }
            }
            for (loss, factor) in chunks.remainder().iter().zip(outputs.into_remainder()) {
                sums.count(&limits, core::slice::from_ref(loss));
                let clipped;
                (*factor, clipped) = limits.apply(*loss);
                sums.add(0, clipped);
            }
        }
    }
    let count = match output {
        Output::Clipped(losses) => losses.len(),
        Output::Factors(losses, _) => losses.len(),
    };
    sums.finish(count as u64)
}

/// The bounds in the losses' own type, and what is needed to apply them.
struct Limits<F> {
    /// No loss of type `F` lies between the exact bounds and these.
    lower: F,
    upper: F,
    exact: Bounds,
    offset: f64,
    max_factor: f64,
}

impl<F: Float> Limits<F> {
    fn new(config: &Config, exact: Bounds) -> Self {
        Self {
            lower: F::ceil_of(exact.lower()),
            upper: F::floor_of(exact.upper()),
            exact,
            offset: config.offset,
            max_factor: config.max_factor.min(F::CEILING),
        }
    }

    fn any_outside(&self, chunk: &[F; LANES]) -> bool {
        chunk.iter().fold(false, |any, &loss| any | (loss > self.upper) | (loss < self.lower))
    }

    /// The factor and the clipped loss.
    fn apply(&self, loss: F) -> (F, F) {
        let bound = if loss > self.upper {
            self.exact.upper()
        } else if loss < self.lower {
            self.exact.lower()
        } else {
            return (F::ONE, loss);
        };
        let shifted = loss.to_f64() + self.offset;
        if shifted == 0.0 {
            return (F::ONE, loss); // no factor moves it
        }
        let target = bound.clamp(-F::CEILING, F::CEILING) + self.offset;
        let ratio = target / shifted;
        // Never negative: that would reverse the gradient. 0 where the bound has the other sign.
        let factor = if ratio > 0.0 { ratio.min(self.max_factor) } else { 0.0 };
        (F::from_f64(factor), F::from_f64(factor * shifted - self.offset))
    }
}

/// Running sums of a pass. Deviations are taken from the first clipped loss: near the batch's
/// values, so that their squares keep the precision of the variance.
struct Sums<F> {
    above: u64,
    below: u64,
    largest: F,
    shift: f64,
    sum: [f64; LANES],
    squares: [f64; LANES],
}

impl<F: Float> Sums<F> {
    fn new(first: F, first_clipped: F) -> Self {
        Self {
            above: 0,
            below: 0,
            largest: first,
            shift: first_clipped.to_f64(),
            sum: [0.0; LANES],
            squares: [0.0; LANES],
        }
    }

    /// Looks at losses before they are clipped.
    fn count(&mut self, limits: &Limits<F>, losses: &[F]) {
        let (mut above, mut below) = (0_u32, 0_u32);
        for &loss in losses {
            above += u32::from(loss > limits.upper);
            below += u32::from(loss < limits.lower);
            self.largest = if loss > self.largest { loss } else { self.largest };
        }
        self.above += u64::from(above);
        self.below += u64::from(below);
    }

    fn add_chunk(&mut self, clipped: &[F; LANES]) {
        for (lane, &loss) in clipped.iter().enumerate() {
            self.add(lane, loss);
        }
    }

    fn add(&mut self, lane: usize, clipped: F) {
        let deviation = clipped.to_f64() - self.shift;
        self.sum[lane] += deviation;
        self.squares[lane] += deviation * deviation;
    }

    fn finish(self, count: u64) -> Pass {
        let n = count as f64;
        let mean = self.sum.iter().sum::<f64>() / n;
        let variance = self.squares.iter().sum::<f64>() / n - mean * mean;
        Pass {
            above: self.above,
            below: self.below,
            largest: self.largest.to_f64(),
            batch: BatchMoments::saturating(count, self.shift + mean, variance),
        }
    }
}
