//! The passes over a batch: the losses within the bounds are added up to the first that is not, the rest
//! is checked, then clipped, written and added block by block.

use crate::{BatchMoments, Bounds, Config, Error, Float};
use core::ops::Add;

/// Losses that are treated side by side, in vector registers.
const LANES: usize = 8;
/// Rows that are looked at before they are added.
const BLOCK: usize = 8;

/// What clipping makes of a batch.
pub(crate) struct Pass {
    pub above: u64,
    pub below: u64,
    pub largest: f64,
    pub batch: BatchMoments,
}

/// Where the results go: the clipped losses in place of the losses, or their factors.
pub(crate) enum Output<'a, F> {
    Clipped(&'a mut [F]),
    Factors(&'a [F], &'a mut [F]),
}

/// Clips a batch; nothing is written if it is empty or holds a loss that is not usable.
#[inline(always)]
pub(crate) fn run<F: Float>(
    config: &Config,
    bounds: Bounds,
    output: Output<'_, F>,
) -> Result<Pass, Error> {
    match output {
        Output::Clipped([loss]) => one(config, bounds, *loss, |_, clipped| *loss = clipped),
        Output::Factors([loss], [factor]) => one(config, bounds, *loss, |by, _| *factor = by),
        output => many(config, bounds, output),
    }
}

/// A batch of one loss: by far the most are within the bounds.
#[inline(always)]
fn one<F: Float>(
    config: &Config,
    bounds: Bounds,
    loss: F,
    write: impl FnOnce(F, F),
) -> Result<Pass, Error> {
    if !is_usable(loss) {
        return Err(first_bad(&[loss]));
    }
    let exact = loss.to_f64();
    let (above, below) = (exact > bounds.upper(), exact < bounds.lower());
    let (factor, clipped) =
        if above | below { apply_once(config, bounds, loss) } else { (F::ONE, loss) };
    write(factor, clipped);
    Ok(Pass {
        above: u64::from(above),
        below: u64::from(below),
        largest: exact,
        batch: BatchMoments::of_one(clipped.to_f64()),
    })
}

#[inline(never)]
fn apply_once<F: Float>(config: &Config, bounds: Bounds, loss: F) -> (F, F) {
    Limits::new(config, bounds).apply(loss)
}

#[inline(never)]
fn many<F: Float>(
    config: &Config,
    bounds: Bounds,
    mut output: Output<'_, F>,
) -> Result<Pass, Error> {
    let limits = Limits::new(config, bounds);
    let losses = output.losses();
    let Some(&first) = losses.first() else {
        return Err(Error::EmptyBatch);
    };
    let (rows, rest) = losses.as_chunks::<LANES>();
    let (count, ends, places) = (losses.len() as u64, rows.len(), rest.len());
    // The last losses are made a row by the first one, which adds nothing: deviations are from it.
    let mut last = [first; LANES];
    last[..places].copy_from_slice(rest);
    let mut sums = Sums::new(first, limits.apply(first).1.to_f64());
    let mut at = sums.add_within(&limits, rows);
    // Nothing is written before all losses are known to be usable.
    if sums.have_nan() || !are_usable(&rows[at..]) || !are_usable(&[last]) {
        return Err(first_bad(losses));
    }
    output.keep(0, at);
    while at < ends {
        let rows = &output.losses().as_chunks::<LANES>().0[at..ends.min(at + BLOCK)];
        let size = rows.len();
        if sums.see(&limits, rows) {
            let mut block = [[F::ZERO; LANES]; BLOCK];
            block[..size].copy_from_slice(rows);
            let mut outside = Outside::NONE;
            for (number, row) in block[..size].iter_mut().enumerate() {
                if limits.any_outside(row) {
                    outside.count(&limits, row);
                    let (factors, clipped) = limits.apply_all(row);
                    output.write(at + number, factors, clipped);
                    *row = clipped;
                } else {
                    output.keep(at + number, 1);
                }
            }
            sums.above += outside.above();
            sums.below += outside.below();
            sums.add(&block[..size]);
        } else {
            sums.add(rows);
            output.keep(at, size);
        }
        at += size;
    }
    if places > 0 {
        let (mut factors, mut clipped) = ([F::ONE; LANES], last);
        if sums.see(&limits, &[last]) {
            let count = |outside: &dyn Fn(F) -> bool| {
                last[..places].iter().filter(|&&loss| outside(loss)).count() as u64
            };
            sums.above += count(&|loss| loss > limits.upper);
            sums.below += count(&|loss| loss < limits.lower);
            (factors, clipped) = limits.apply_all(&last);
        }
        sums.add(&[clipped]);
        output.write_rest(&factors, &clipped);
    }
    Ok(sums.finish(count))
}

impl<F: Float> Output<'_, F> {
    #[inline(always)]
    fn losses(&self) -> &[F] {
        match self {
            Self::Clipped(losses) => losses,
            Self::Factors(losses, _) => losses,
        }
    }

    /// So many rows from `at` on stay as they are.
    #[inline(always)]
    fn keep(&mut self, at: usize, count: usize) {
        if let Self::Factors(_, factors) = self {
            factors.as_chunks_mut::<LANES>().0[at..at + count].fill([F::ONE; LANES]);
        }
    }

    /// What has become of a row.
    #[inline(always)]
    fn write(&mut self, at: usize, factors: [F; LANES], clipped: [F; LANES]) {
        match self {
            Self::Clipped(losses) => losses.as_chunks_mut().0[at] = clipped,
            Self::Factors(_, to) => to.as_chunks_mut().0[at] = factors,
        }
    }

    /// What has become of the losses after the last whole row.
    #[inline(always)]
    fn write_rest(&mut self, factors: &[F; LANES], clipped: &[F; LANES]) {
        let (to, from) = match self {
            Self::Clipped(losses) => (losses.as_chunks_mut::<LANES>().1, clipped),
            Self::Factors(_, to) => (to.as_chunks_mut::<LANES>().1, factors),
        };
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// Whether no loss is NaN, infinite or too large.
fn are_usable<F: Float>(rows: &[[F; LANES]]) -> bool {
    let mut largest = [F::ZERO; LANES];
    // 0 times NaN is NaN, and stays so in a sum; comparisons would lose it.
    let mut zeros = [F::ZERO; LANES];
    for row in rows {
        for lane in 0..LANES {
            largest[lane] = higher(largest[lane], row[lane].abs());
            zeros[lane] = zeros[lane] + row[lane] * F::ZERO;
        }
    }
    let good = zeros.iter().fold(true, |good, &zero| good & (zero == F::ZERO));
    largest.iter().fold(good, |good, &largest| good & is_usable(largest))
}

/// False for NaN.
#[inline(always)]
fn is_usable<F: Float>(loss: F) -> bool {
    loss.abs() <= F::LARGEST
}

#[cold]
fn first_bad<F: Float>(losses: &[F]) -> Error {
    let mut bad = losses.iter().enumerate().filter(|(_, loss)| !is_usable(**loss));
    match bad.next() {
        Some((index, loss)) => {
            Error::BadLoss { index, value: loss.to_f64(), count: 1 + bad.count() }
        }
        None => Error::EmptyBatch,
    }
}

/// The bounds in the losses' own type, and what is needed to apply them.
struct Limits<F> {
    /// No usable loss of type `F` lies between the exact bounds and these.
    lower: F,
    upper: F,
    /// The exact bounds plus the offset.
    lower_target: f64,
    upper_target: f64,
    offset: f64,
    max_factor: f64,
}

impl<F: Float> Limits<F> {
    fn new(config: &Config, exact: Bounds) -> Self {
        let target = |bound: f64| bound.clamp(-F::CEILING, F::CEILING) + config.offset;
        Self {
            lower: higher(F::ceil_of(exact.lower()), -F::LARGEST),
            upper: lower(F::floor_of(exact.upper()), F::LARGEST),
            lower_target: target(exact.lower()),
            upper_target: target(exact.upper()),
            offset: config.offset,
            max_factor: config.max_factor.min(F::CEILING),
        }
    }

    #[inline(always)]
    fn outside(&self, loss: F) -> bool {
        (loss > self.upper) | (loss < self.lower)
    }

    #[inline(always)]
    fn any_outside(&self, row: &[F; LANES]) -> bool {
        row.iter().fold(false, |any, &loss| any | self.outside(loss))
    }

    /// The factor and the clipped loss.
    #[inline(always)]
    fn apply(&self, loss: F) -> (F, F) {
        if self.outside(loss) { self.apply_branchless(loss) } else { (F::ONE, loss) }
    }

    /// The same without branches, for several losses at a time.
    #[inline(always)]
    fn apply_branchless(&self, loss: F) -> (F, F) {
        let (above, below) = (loss > self.upper, loss < self.lower);
        let shifted = loss.to_f64() + self.offset;
        let (lower, upper) = (self.lower_target, self.upper_target);
        let target = if above { upper } else { lower };
        let ratio = target / shifted;
        // Never negative: that would reverse the gradient. 0 where the bound has the other sign.
        let ratio = if ratio > 0.0 { ratio } else { 0.0 };
        let factor = if ratio < self.max_factor { ratio } else { self.max_factor };
        // No factor moves a loss that the offset takes to zero.
        let moves = (above | below) & (shifted != 0.0);
        // An offset far above the losses takes their digits, and what is left can be too large.
        let largest = F::LARGEST.to_f64();
        let clipped = (factor * shifted - self.offset).clamp(-largest, largest);
        if moves { (F::from_f64(factor), F::from_f64(clipped)) } else { (F::ONE, loss) }
    }

    /// Factors and clipped losses of a row.
    #[inline(never)]
    fn apply_all(&self, row: &[F; LANES]) -> ([F; LANES], [F; LANES]) {
        let (mut factors, mut clipped) = ([F::ONE; LANES], *row);
        for lane in 0..LANES {
            (factors[lane], clipped[lane]) = self.apply_branchless(row[lane]);
        }
        (factors, clipped)
    }
}

/// How many losses of a few rows are outside the bounds.
struct Outside {
    above: [u32; LANES],
    below: [u32; LANES],
}

impl Outside {
    const NONE: Self = Self { above: [0; LANES], below: [0; LANES] };

    #[inline(always)]
    fn count<F: Float>(&mut self, limits: &Limits<F>, row: &[F; LANES]) {
        for (above, &loss) in self.above.iter_mut().zip(row) {
            *above += u32::from(loss > limits.upper);
        }
        for (below, &loss) in self.below.iter_mut().zip(row) {
            *below += u32::from(loss < limits.lower);
        }
    }

    fn above(&self) -> u64 {
        self.above.iter().sum::<u32>().into()
    }

    fn below(&self) -> u64 {
        self.below.iter().sum::<u32>().into()
    }
}

/// What the losses so far have become. Deviations are taken from the first clipped loss: near the
/// batch's values, so that their squares keep the precision of the variance.
struct Sums<F> {
    above: u64,
    below: u64,
    highest: [F; LANES],
    shift: f64,
    sum: [f64; LANES],
    squares: [f64; LANES],
}

impl<F: Float> Sums<F> {
    fn new(first: F, shift: f64) -> Self {
        Self {
            above: 0,
            below: 0,
            highest: [first; LANES],
            shift,
            sum: [0.0; LANES],
            squares: [0.0; LANES],
        }
    }

    /// Adds rows up to the first block with a loss outside the bounds; gives how many.
    #[inline(always)]
    fn add_within(&mut self, limits: &Limits<F>, rows: &[[F; LANES]]) -> usize {
        let mut within = 0;
        for block in rows.chunks(BLOCK) {
            if self.see(limits, block) {
                break;
            }
            self.add(block);
            within += block.len();
        }
        within
    }

    /// Takes note of the highest losses, and says whether any loss is outside the bounds.
    #[inline(always)]
    fn see(&mut self, limits: &Limits<F>, block: &[[F; LANES]]) -> bool {
        let (mut lowest, mut highest) = (block[0], block[0]);
        for row in block {
            for lane in 0..LANES {
                lowest[lane] = lower(lowest[lane], row[lane]);
                highest[lane] = higher(highest[lane], row[lane]);
            }
        }
        for (highest, &here) in self.highest.iter_mut().zip(&highest) {
            *highest = higher(*highest, here);
        }
        let below = lowest.iter().fold(false, |any, &loss| any | (loss < limits.lower));
        highest.iter().fold(below, |any, &loss| any | (loss > limits.upper))
    }

    /// Adds losses that are clipped.
    #[inline(always)]
    fn add(&mut self, block: &[[F; LANES]]) {
        let (mut sum, mut squares) = (self.sum, self.squares);
        for row in block {
            for lane in 0..LANES {
                let deviation = row[lane].to_f64() - self.shift;
                sum[lane] += deviation;
                squares[lane] += deviation * deviation;
            }
        }
        (self.sum, self.squares) = (sum, squares);
    }

    /// Comparisons lose NaN, sums do not.
    fn have_nan(&self) -> bool {
        fold(self.sum, f64::add).is_nan()
    }

    fn finish(self, count: u64) -> Pass {
        let n = count as f64;
        let mean = fold(self.sum, f64::add) / n;
        let variance = fold(self.squares, f64::add) / n - mean * mean;
        Pass {
            above: self.above,
            below: self.below,
            largest: fold(self.highest, higher).to_f64(),
            batch: BatchMoments::saturating(count, self.shift + mean, variance),
        }
    }
}

#[inline(always)]
fn lower<F: Float>(a: F, b: F) -> F {
    if a < b { a } else { b }
}

#[inline(always)]
fn higher<F: Float>(a: F, b: F) -> F {
    if a > b { a } else { b }
}

/// Halves, and halves again: the same order whatever the processor, and short chains.
#[inline(always)]
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
