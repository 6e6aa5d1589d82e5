//! What the moments converge to, how fast, and how much they scatter.
//!
//! With decay `b`, start `m0` and independent losses of mean `mu` and variance `s2`, one a step and
//! none clipped, after `t` steps:
//! - `E[mean] = mu + b^t (m0 - mu)`;
//! - `Var[mean] = s2 (1-b)/(1+b) (1 - b^2t)`;
//! - `E[variance] -> s2 * 2b/(1+b)`: a little low, by the scatter of the mean around `mu`.
//!
//! Where bounds clip, the moments converge to the fixed point of the clipped distribution, found
//! here by quadrature over the distribution, without the code under test.
#![allow(clippy::unwrap_used)]
// Millions of steps through code that the other tests run as well: hours under Miri.
#![cfg(not(miri))]

use alrc_core::{Clipper, Config, Limit, Moments};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A distribution of losses by its quantile function: the loss below which a share `p` lies.
#[derive(Clone, Copy, Debug)]
enum Losses {
    Uniform,
    Exponential,
    /// A heavy tail: exponent 2.5, mean 5/3, infinite fourth moment.
    Pareto,
    /// 1, and one time in a hundred 100.
    Spikes,
}

impl Losses {
    fn quantile(self, p: f64) -> f64 {
        match self {
            Self::Uniform => 2.0 * p,
            Self::Exponential => -(-p).ln_1p(),
            Self::Pareto => (1.0 - p).powf(-1.0 / 2.5),
            Self::Spikes => {
                if p < 0.99 {
                    1.0
                } else {
                    100.0
                }
            }
        }
    }

    /// Mean and variance of the losses clipped at `upper`: midpoint rule over the quantiles.
    fn clipped_moments(self, upper: f64) -> (f64, f64) {
        const POINTS: u32 = 20_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for i in 0..POINTS {
            let loss = self.quantile((f64::from(i) + 0.5) / f64::from(POINTS)).min(upper);
            sum += loss;
            squares += loss * loss;
        }
        let mean = sum / f64::from(POINTS);
        (mean, squares / f64::from(POINTS) - mean * mean)
    }

    /// Where the averages settle on average: the fixed point for decay `b`.
    fn fixed_point(self, n: f64, b: f64) -> (f64, f64) {
        let (mut mean, mut variance) = self.clipped_moments(f64::INFINITY);
        for _ in 0..2_000 {
            let (m, v) = self.clipped_moments(mean + n * variance.sqrt());
            let v = v * 2.0 * b / (1.0 + b);
            if (m - mean).abs() + (v - variance).abs() < 1e-12 {
                break;
            }
            (mean, variance) = (m, v);
        }
        (mean, variance)
    }
}

/// Trains a clipper on `steps` losses; mean and standard deviation averaged over the second half.
fn settled(losses: Losses, n: f64, start: Moments, seed: u64, steps: u32) -> (f64, f64) {
    let config = Config { limit: Limit::Above(n), decay: DECAY, ..Config::default() };
    let mut clipper = Clipper::new(config, start).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut mean, mut variance) = (0.0, 0.0);
    for step in 0..steps {
        clipper.clip(&mut [losses.quantile(rng.random())]).unwrap();
        if step >= steps / 2 {
            let moments = clipper.moments().unwrap();
            mean += moments.mean() / f64::from(steps / 2);
            variance += moments.variance() / f64::from(steps / 2);
        }
    }
    (mean, variance.sqrt())
}

const DECAY: f64 = 0.99;

#[test]
fn the_quadrature_gives_the_published_fixed_points() {
    let near = |(mean, variance): (f64, f64), m: f64, sd: f64| {
        assert!(
            (mean - m).abs() < 0.005 && (variance.sqrt() - sd).abs() < 0.01,
            "{mean} {variance}"
        );
    };
    near(Losses::Exponential.fixed_point(2.0, 1.0), 0.91, 0.74);
    near(Losses::Exponential.fixed_point(3.0, 1.0), 0.97, 0.90);
    assert!((Losses::Spikes.fixed_point(3.0, 1.0).0 - 1.0).abs() < 0.005);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Bounds that clip nothing: the true moments, from any overestimate.
    #[test]
    fn unclipped_moments_converge_to_the_true_ones(
        scale in 0.0..12.0_f64,
        spread in 0.0..12.0_f64,
        seed in any::<u64>(),
    ) {
        let start = Moments::new(1.0 + libm::exp10(scale), libm::exp10(2.0 * spread)).unwrap();
        // Uniform losses end 1.73 standard deviations above their mean: n = 4 never clips.
        let (mean, sd) = settled(Losses::Uniform, 4.0, start, seed, 20_000);
        let expected = (2.0 * DECAY / (1.0 + DECAY) / 3.0).sqrt();
        prop_assert!((mean - 1.0).abs() < 0.03, "{}", mean);
        prop_assert!((sd - expected).abs() < 0.02, "{}", sd);
    }

    /// Bounds that clip: the fixed point of the clipped distribution, from any overestimate.
    #[test]
    fn clipped_moments_converge_to_the_fixed_point(
        losses in prop_oneof![
            Just(Losses::Uniform), Just(Losses::Exponential), Just(Losses::Pareto)],
        n in 1.2..4.0_f64,
        scale in 0.0..12.0_f64,
        seed in any::<u64>(),
    ) {
        let start = Moments::new(3.0 * libm::exp10(scale), libm::exp10(2.0 * scale)).unwrap();
        let (mean, sd) = settled(losses, n, start, seed, 40_000);
        let (expected, variance) = losses.fixed_point(n, DECAY);
        prop_assert!((mean / expected - 1.0).abs() < 0.06, "{} for {}", mean, expected);
        prop_assert!((sd / variance.sqrt() - 1.0).abs() < 0.2, "{} for {}", sd, variance.sqrt());
    }

    /// The rate: an overestimate shrinks by the decay at each step, to rounding.
    #[test]
    fn an_overestimate_decays_at_the_decay(
        excess in 1e-3..1e12_f64,
        decay in 0.5..0.9999_f64,
        steps in 1..2_000_i32,
    ) {
        let config = Config { decay, ..Config::default() };
        let start = Moments::new(2.0 + excess, excess * excess).unwrap();
        let mut clipper = Clipper::new(config, start).unwrap();
        for _ in 0..steps {
            clipper.clip(&mut [2.0_f64]).unwrap();
        }
        let kept = decay.powi(steps);
        let moments = clipper.moments().unwrap();
        let close = |ours: f64, exact: f64, scale: f64| (ours - exact).abs() <= 1e-9 * exact + 1e-11 * scale;
        prop_assert!(close(moments.mean() - 2.0, kept * excess, 2.0));
        // mu2 decays towards 4 in the same way, and the variance is mu2 - mu1^2.
        let variance = excess * excess * kept * (2.0 - kept);
        prop_assert!(close(moments.variance(), variance, 1.0));
    }
}

/// Bias and scatter over many independent runs against the formulas at the top.
#[test]
fn bias_and_scatter_are_as_stated() {
    const RUNS: u32 = 4_000;
    for (decay, steps) in [(0.9, 5), (0.9, 200), (0.97, 40)] {
        let config = Config { limit: Limit::Above(100.0), decay, ..Config::default() };
        let (start_mean, start_variance) = (5.0, 30.0);
        let (mut mean, mut square, mut variance) = (0.0, 0.0, 0.0);
        for run in 0..RUNS {
            let start = Moments::new(start_mean, start_variance).unwrap();
            let mut clipper = Clipper::new(config, start).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(u64::from(run));
            for _ in 0..steps {
                clipper.clip(&mut [Losses::Uniform.quantile(rng.random())]).unwrap();
            }
            let moments = clipper.moments().unwrap();
            mean += moments.mean() / f64::from(RUNS);
            square += moments.mean().powi(2) / f64::from(RUNS);
            variance += moments.variance() / f64::from(RUNS);
        }
        let scatter = square - mean * mean;
        let (mu, s2) = (1.0, 1.0 / 3.0);
        let kept = decay.powi(steps);
        let expected_mean = mu + kept * (start_mean - mu);
        let expected_scatter = s2 * (1.0 - decay) / (1.0 + decay) * (1.0 - kept * kept);
        let start_square = start_variance + start_mean * start_mean;
        let expected_square = kept * start_square + (1.0 - kept) * (s2 + mu * mu);
        let expected_variance = expected_square - expected_mean.powi(2) - expected_scatter;
        // Five standard errors of each average over the runs.
        let runs = f64::from(RUNS);
        assert!((mean - expected_mean).abs() < 5.0 * (expected_scatter / runs).sqrt());
        assert!((scatter / expected_scatter - 1.0).abs() < 5.0 * (2.0 / runs).sqrt());
        assert!(
            (variance / expected_variance - 1.0).abs() < 0.01,
            "{variance} {expected_variance}"
        );
    }
}

/// One spike in a hundred, of a hundred times the loss, hardly moves the mean.
#[test]
fn spikes_do_not_move_the_mean() {
    let config = Config::default();
    let mut clipper = Clipper::new(config, Moments::default()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..200_000 {
        clipper.clip(&mut [Losses::Spikes.quantile(rng.random())]).unwrap();
    }
    let mean = clipper.moments().unwrap().mean();
    assert!((mean - 1.0).abs() < 0.02, "{mean}"); // the true mean is 1.99
}
