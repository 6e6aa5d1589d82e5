//! The core, fed any sequence of losses at any settings.
#![no_main]

use alrc_core::{Bounds, Clipper, Config, Estimate, Float, Limit, Moments, State};
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    limit: (u8, f64, f64),
    decay: f64,
    epsilon: f64,
    relative_epsilon: f64,
    offset: f64,
    max_factor: f64,
    start: Option<(f64, f64)>,
    estimate: (u32, f64),
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Single(Vec<f32>),
    Double(Vec<f64>),
    Factors(Vec<f32>),
    DoubleFactors(Vec<f64>),
    Rescale(f64),
}

fn clipper(input: &Input) -> Option<Clipper> {
    let (kind, a, b) = input.limit;
    let limit = match kind % 4 {
        0 => Limit::Above(a),
        1 => Limit::Below(a),
        2 => Limit::Both { below: a, above: b },
        _ => Limit::Fixed(Bounds::new(Some(a), Some(b)).ok()?),
    };
    let Input { decay, epsilon, relative_epsilon, offset, max_factor, .. } = *input;
    let config = Config { limit, decay, epsilon, relative_epsilon, offset, max_factor };
    let start: State = match input.start {
        Some((mean, variance)) => Moments::new(mean, variance).ok()?.into(),
        None => Estimate::new(input.estimate.0, input.estimate.1).ok()?.into(),
    };
    Clipper::new(config, start).ok()
}

fuzz_target!(|input: Input| {
    let Some(mut clipper) = clipper(&input) else { return };
    for step in input.steps {
        let before = clipper.clone();
        let bounds = clipper.bounds();
        assert!(bounds.lower() <= bounds.upper());
        let failed = match step {
            Step::Single(losses) => clip(&mut clipper, losses),
            Step::Double(losses) => clip(&mut clipper, losses),
            Step::Factors(losses) => factors(&mut clipper, losses),
            Step::DoubleFactors(losses) => factors(&mut clipper, losses),
            Step::Rescale(factor) => clipper.rescale(factor).is_err(),
        };
        assert!(!failed || clipper == before, "an error has changed the state");
        if let Some(moments) = clipper.moments() {
            assert!(moments.mean().is_finite());
            assert!(0.0 <= moments.variance() && moments.variance() < f64::INFINITY);
        }
    }
});

/// Whether the losses were refused.
fn clip<F: Float>(clipper: &mut Clipper, mut losses: Vec<F>) -> bool {
    let given = losses.clone();
    let result = clipper.clip(&mut losses);
    if result.is_ok() {
        assert!(losses.iter().all(|&loss| loss.into().is_finite()));
    } else {
        let bits = |losses: &[F]| -> Vec<u64> {
            losses.iter().map(|&loss| loss.into().to_bits()).collect()
        };
        assert_eq!(bits(&losses), bits(&given));
    }
    result.is_err()
}

/// Whether the losses were refused.
fn factors<F: Float + From<f32>>(clipper: &mut Clipper, losses: Vec<F>) -> bool {
    let mut factors = vec![F::from(7.0); losses.len()];
    let result = clipper.factors(&losses, &mut factors);
    let good = |factor: f64| match result {
        Ok(_) => factor.is_finite() && factor >= 0.0,
        Err(_) => factor == 7.0,
    };
    assert!(factors.iter().all(|&factor| good(factor.into())));
    result.is_err()
}
