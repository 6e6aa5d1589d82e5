//! The core, fed any sequence of losses at any settings.
#![no_main]

use alrc_core::{Bounds, Clipper, Config, Estimate, Limit, Moments, State};
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
            Step::Single(mut losses) => {
                let given = losses.clone();
                let result = clipper.clip(&mut losses);
                assert!(result.is_ok() || same(&losses, &given));
                assert!(result.is_err() || losses.iter().all(|loss| loss.is_finite()));
                result.is_err()
            }
            Step::Double(mut losses) => {
                let result = clipper.clip(&mut losses);
                assert!(result.is_err() || losses.iter().all(|loss| loss.is_finite()));
                result.is_err()
            }
            Step::Factors(losses) => {
                let mut factors = vec![7.0; losses.len()];
                let result = clipper.factors(&losses, &mut factors);
                let good = |factor: &f32| factor.is_finite() && *factor >= 0.0;
                assert!(result.is_err() || factors.iter().all(good));
                assert!(result.is_ok() || factors.iter().all(|&factor| factor == 7.0));
                result.is_err()
            }
            Step::Rescale(factor) => clipper.rescale(factor).is_err(),
        };
        assert!(!failed || clipper == before, "an error has changed the state");
        if let Some(moments) = clipper.moments() {
            assert!(moments.mean().is_finite());
            assert!(0.0 <= moments.variance() && moments.variance() < f64::INFINITY);
        }
    }
});

fn same(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}
