//! The passes over a batch: check, then clip and sum up.

use crate::{BatchMoments, Bounds, Config, Error, Float};

/// Losses that are treated side by side: enough independent sums to fill vector registers.
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

/// The smallest and the largest loss of a checked batch.
#[derive(Clone, Copy)]
pub(crate) struct Range<F> {
    lowest: F,
    highest: F,
}

/// Rejects a batch that is empty or holds a loss that is not usable.
#[inline(always)]
pub(crate) fn check<F: Float>(losses: &[F]) -> Result<Range<F>, Error> {
    let Some(&first) = losses.first() else {
        return Err(Error::EmptyBatch);
    };
    if losses.len() > 1 {
        return check_many(losses, first);
    }
    let good = first.abs() <= F::LARGEST; // false for NaN
    if good { Ok(Range { lowest: first, highest: first }) } else { Err(first_bad(losses)) }
}

#[inline(never)]
fn check_many<F: Float>(losses: &[F], first: F) -> Result<Range<F>, Error> {
    let mut range = Range { lowest: first, highest: first };
    // 0 times NaN or infinity is NaN, and stays so in a sum; comparisons would lose it.
    let mut zero = F::ZERO;
    let (rows, rest) = losses.as_chunks::<LANES>();
    if let Some(row) = rows.first() {
        let (mut lowest, mut highest, mut zeros) = (*row, *row, [F::ZERO; LANES]);
        for row in rows {
            for lane in 0..LANES {
                lowest[lane] = lower(lowest[lane], row[lane]);
                highest[lane] = higher(highest[lane], row[lane]);
                zeros[lane] = zeros[lane] + row[lane] * F::ZERO;
            }
        }
        range = Range { lowest: fold(lowest, lower), highest: fold(highest, higher) };
        zero = fold(zeros, F::add);
    }
    for &loss in rest {
        range.lowest = lower(range.lowest, loss);
        range.highest = higher(range.highest, loss);
        zero = zero + loss * F::ZERO;
    }
    let in_range = range.lowest.abs() <= F::LARGEST && range.highest.abs() <= F::LARGEST;
    if zero == F::ZERO && in_range { Ok(range) } else { Err(first_bad(losses)) }
}

#[cold]
fn first_bad<F: Float>(losses: &[F]) -> Error {
    let good = |loss: &F| loss.abs() <= F::LARGEST; // false for NaN
    let mut bad = losses.iter().enumerate().filter(|(_, loss)| !good(loss));
    match bad.next() {
        Some((index, loss)) => {
            Error::BadLoss { index, value: loss.to_f64(), count: 1 + bad.count() }
        }
        None => Error::EmptyBatch,
    }
}

fn lower<F: Float>(a: F, b: F) -> F {
    if b < a { b } else { a }
}

fn higher<F: Float>(a: F, b: F) -> F {
    if b > a { b } else { a }
}

/// Halves, and halves again: the same order whatever the processor, and short chains.
fn fold<T: Copy>(mut lanes: [T; LANES], both: impl Fn(T, T) -> T) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = both(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Clips the losses of a checked batch, and sums up what they became.
#[inline(always)]
pub(crate) fn run<F: Float>(
    config: &Config,
    bounds: Bounds,
    range: Range<F>,
    output: Output<'_, F>,
) -> Pass {
    match output {
        Output::Clipped([loss]) => one(config, bounds, *loss, |_, clipped| *loss = clipped),
        Output::Factors([loss], [factor]) => one(config, bounds, *loss, |by, _| *factor = by),
        output => many(&Limits::new(config, bounds), range, output),
    }
}

/// A batch of one loss: by far the most are within the bounds.
#[inline(always)]
fn one<F: Float>(config: &Config, bounds: Bounds, loss: F, write: impl FnOnce(F, F)) -> Pass {
    let exact = loss.to_f64();
    let (above, below) = (exact > bounds.upper(), exact < bounds.lower());
    let (factor, clipped) =
        if above | below { apply_once(config, bounds, loss) } else { (F::ONE, loss) };
    write(factor, clipped);
    Pass {
        above: u64::from(above),
        below: u64::from(below),
        largest: exact,
        batch: BatchMoments::of_one(clipped.to_f64()),
    }
}

#[inline(never)]
fn apply_once<F: Float>(config: &Config, bounds: Bounds, loss: F) -> (F, F) {
    Limits::new(config, bounds).apply(loss)
}

#[inline(never)]
fn many<F: Float>(limits: &Limits<F>, range: Range<F>, output: Output<'_, F>) -> Pass {
    let losses: &[F] = match &output {
        Output::Clipped(losses) => losses,
        Output::Factors(losses, _) => losses,
    };
    let (count, first) = (losses.len() as u64, losses[0]);
    let mut sums = Sums::new(limits.apply(first).1.to_f64());
    let within = limits.lower <= range.lowest && range.highest <= limits.upper;
    match output {
        _ if within => {
            sums.add_all(losses);
            if let Output::Factors(_, factors) = output {
                factors.fill(F::ONE);
            }
        }
        Output::Clipped(losses) => {
            let (rows, rest) = losses.as_chunks_mut::<LANES>();
            for row in rows {
                if let Some((_, clipped)) = sums.clip_row(limits, row) {
                    *row = clipped;
                }
            }
            for loss in rest {
                *loss = sums.clip(limits, *loss).1;
            }
        }
        Output::Factors(losses, factors) => {
            let (rows, rest) = losses.as_chunks::<LANES>();
            let (factor_rows, factors) = factors.as_chunks_mut::<LANES>();
            for (row, factors) in rows.iter().zip(factor_rows) {
                let clipped = sums.clip_row(limits, row);
                *factors = clipped.map_or([F::ONE; LANES], |(factors, _)| factors);
            }
            for (loss, factor) in rest.iter().zip(factors) {
                *factor = sums.clip(limits, *loss).0;
            }
        }
    }
    sums.finish(count, range.highest.to_f64())
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

    fn any_outside(&self, row: &[F; LANES]) -> bool {
        row.iter().fold(false, |any, &loss| any | (loss > self.upper) | (loss < self.lower))
    }

    /// The factor and the clipped loss.
    #[inline]
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
struct Sums {
    above: u64,
    below: u64,
    shift: f64,
    /// Of whole rows.
    lanes: Option<Lanes>,
    /// Of what is left over.
    sum: f64,
    squares: f64,
}

#[derive(Clone, Copy)]
struct Lanes {
    sum: [f64; LANES],
    squares: [f64; LANES],
}

impl Lanes {
    const ZERO: Self = Self { sum: [0.0; LANES], squares: [0.0; LANES] };

    #[inline]
    fn add<F: Float>(&mut self, row: &[F; LANES], shift: f64) {
        let sums = self.sum.iter_mut().zip(&mut self.squares);
        for ((sum, squares), loss) in sums.zip(row) {
            let deviation = loss.to_f64() - shift;
            *sum += deviation;
            *squares += deviation * deviation;
        }
    }
}

impl Sums {
    #[inline]
    fn new(shift: f64) -> Self {
        Self { above: 0, below: 0, shift, lanes: None, sum: 0.0, squares: 0.0 }
    }

    /// Adds losses of which none is clipped.
    #[inline]
    fn add_all<F: Float>(&mut self, losses: &[F]) {
        let (rows, rest) = losses.as_chunks::<LANES>();
        if !rows.is_empty() {
            let mut lanes = Lanes::ZERO;
            rows.iter().for_each(|row| lanes.add(row, self.shift));
            self.lanes = Some(lanes);
        }
        rest.iter().for_each(|&loss| self.add(loss));
    }

    /// Factors and clipped losses of a row; none if all are within the bounds.
    #[inline]
    fn clip_row<F: Float>(
        &mut self,
        limits: &Limits<F>,
        row: &[F; LANES],
    ) -> Option<([F; LANES], [F; LANES])> {
        let lanes = self.lanes.get_or_insert(Lanes::ZERO);
        if !limits.any_outside(row) {
            lanes.add(row, self.shift);
            return None;
        }
        let (mut factors, mut clipped) = ([F::ONE; LANES], *row);
        let (mut above, mut below) = (0_u32, 0_u32);
        for lane in 0..LANES {
            above += u32::from(row[lane] > limits.upper);
            below += u32::from(row[lane] < limits.lower);
            (factors[lane], clipped[lane]) = limits.apply(row[lane]);
        }
        self.above += u64::from(above);
        self.below += u64::from(below);
        lanes.add(&clipped, self.shift);
        Some((factors, clipped))
    }

    /// The factor and the clipped loss.
    #[inline]
    fn clip<F: Float>(&mut self, limits: &Limits<F>, loss: F) -> (F, F) {
        self.above += u64::from(loss > limits.upper);
        self.below += u64::from(loss < limits.lower);
        let (factor, clipped) = limits.apply(loss);
        self.add(clipped);
        (factor, clipped)
    }

    #[inline]
    fn add<F: Float>(&mut self, clipped: F) {
        let deviation = clipped.to_f64() - self.shift;
        self.sum += deviation;
        self.squares += deviation * deviation;
    }

    #[inline]
    fn finish(mut self, count: u64, largest: f64) -> Pass {
        if let Some(lanes) = self.lanes {
            self.sum += fold(lanes.sum, |a, b| a + b);
            self.squares += fold(lanes.squares, |a, b| a + b);
        }
        let n = count as f64;
        let mean = self.sum / n;
        let variance = self.squares / n - mean * mean;
        Pass {
            above: self.above,
            below: self.below,
            largest,
            batch: BatchMoments::saturating(count, self.shift + mean, variance),
        }
    }
}
