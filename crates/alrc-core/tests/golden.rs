//! Against the published layer and the two-sided formula in TensorFlow, at every step.
#![allow(clippy::unwrap_used)]

use alrc_core::{Clipper, Config, Limit, Moments};
use test_data::{AlrcConfig, AlrcFile};

/// Relative. The reference computes in f32, which explains 7e-6.
const TOLERANCE: f64 = 2e-5;

fn clipper(config: &AlrcConfig) -> Clipper {
    let limit = match (config.num_stddev_below, config.num_stddev_above) {
        (None, Some(above)) => Limit::Above(above),
        (Some(below), None) => Limit::Below(below),
        (Some(below), Some(above)) => Limit::Both { below, above },
        (None, None) => panic!("a golden file without any limit"),
    };
    let start = Moments::from_raw(config.mu1_start, config.mu2_start).unwrap();
    let (decay, epsilon) = (config.decay, config.epsilon);
    Clipper::new(Config { limit, decay, epsilon, ..Config::default() }, start).unwrap()
}

fn relative(ours: f64, theirs: f64) -> f64 {
    if ours == theirs { 0.0 } else { (ours - theirs).abs() / theirs.abs() }
}

#[test]
#[cfg_attr(miri, ignore = "reading the files alone takes an hour")]
fn every_step_of_every_file() {
    let mut worst = 0.0_f64;
    for file in AlrcFile::all().unwrap() {
        let path = file.path.display();
        let mut by_factor = clipper(&file.config);
        let mut in_place = by_factor.clone();
        let mut clipped_in_all = 0;
        for (step, expected) in file.steps.iter().enumerate() {
            let mut factors = vec![0.0_f32; expected.loss.len()];
            let report = by_factor.factors(&expected.loss, &mut factors).unwrap();
            let mut clipped = expected.loss.clone();
            assert_eq!(in_place.clip(&mut clipped).unwrap(), report, "{path} step {step}");

            let mut here = 0.0_f64;
            for i in 0..clipped.len() {
                let (factor, scale) = (f64::from(factors[i]), expected.grad_scale[i]);
                assert_eq!(factor == 1.0, scale == 1.0, "{path} step {step}: loss {i}");
                here = here.max(relative(factor, scale));
                here = here.max(relative(f64::from(clipped[i]), expected.clipped[i]));
                let product = f64::from(factors[i] * expected.loss[i]);
                here = here.max(relative(product, expected.clipped[i]));
            }
            let expected_clipped = expected.grad_scale.iter().filter(|&&s| s != 1.0).count();
            assert_eq!(report.clipped(), expected_clipped as u64, "{path} step {step}");
            clipped_in_all += expected_clipped;

            let moments = by_factor.moments().unwrap();
            here = here.max(relative(moments.mean(), expected.mu1));
            let variance = (expected.mu2 - expected.mu1 * expected.mu1).max(0.0);
            // On the mean's scale: the reference's variance is a difference of two f32 numbers.
            here = here.max((moments.std_dev() - variance.sqrt()).abs() / expected.mu1.abs());
            assert!(here <= TOLERANCE, "{path} step {step}: off by {here:e}");
            worst = worst.max(here);
        }
        println!("{path}: {} steps, {clipped_in_all} clipped", file.steps.len());
    }
    println!("largest relative deviation: {worst:.1e}");
}
