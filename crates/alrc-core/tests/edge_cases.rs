//! The inputs on which the published layer breaks, one test each.
#![allow(clippy::unwrap_used)]

use alrc_core::{BatchMoments, Bounds, Clipper, Config, Error, Estimate, Limit, Moments, State};

fn clipper(limit: Limit, mean: f64, variance: f64) -> Clipper {
    let config = Config { limit, epsilon: 0.0, ..Config::default() };
    Clipper::new(config, Moments::new(mean, variance).unwrap()).unwrap()
}

fn factor(clipper: &Clipper, loss: f64) -> f64 {
    let mut factors = [f64::NAN];
    clipper.factors_only(&[loss], &mut factors).unwrap();
    let mut clipped = [loss];
    clipper.clip_only(&mut clipped).unwrap();
    let offset = clipper.config().offset;
    let expected = factors[0] * (loss + offset) - offset;
    assert!((clipped[0] - expected).abs() <= 1e-12 * expected.abs().max(1.0));
    factors[0]
}

#[test]
fn bad_losses_are_named_and_change_nothing() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for length in [1_usize, 15, 16, 17, 100] {
            for index in [0, length / 2, length - 1] {
                let mut clipper = clipper(Limit::Above(2.0), 1.0, 1.0);
                let before = clipper.clone();
                let mut losses = vec![900.0_f32; length];
                losses[index] = bad;
                losses[length - 1] = bad;
                let count = if index == length - 1 { 1 } else { 2 };
                let error = clipper.clip(&mut losses).unwrap_err();
                let Error::BadLoss { index: at, value, count: found } = error else {
                    panic!("{error}")
                };
                assert_eq!((at, found), (index, count));
                assert_eq!(value.to_string(), f64::from(bad).to_string());
                assert!(error.to_string().contains(&format!("loss {index} ")), "{error}");
                assert_eq!(clipper, before);
                let unchanged =
                    |(i, &l): (usize, &f32)| i == index || i == length - 1 || l == 900.0;
                assert!(losses.iter().enumerate().all(unchanged));
            }
        }
    }
}

#[test]
fn an_empty_batch_is_an_error() {
    let mut clipper = clipper(Limit::Above(2.0), 1.0, 1.0);
    let before = clipper.clone();
    assert_eq!(clipper.clip::<f32>(&mut []), Err(Error::EmptyBatch));
    assert_eq!(clipper.observe(&BatchMoments::new()), Err(Error::EmptyBatch));
    assert_eq!(clipper, before);
}

#[test]
fn as_many_factors_as_losses() {
    let mut clipper = clipper(Limit::Above(2.0), 1.0, 1.0);
    let error = clipper.factors(&[1.0_f32], &mut [0.0; 2]).unwrap_err();
    assert_eq!(error, Error::LengthMismatch { losses: 1, factors: 2 });
}

#[test]
fn a_loss_of_zero_keeps_its_gradient() {
    for limit in [Limit::Above(1.0), Limit::Both { below: 1.0, above: 1.0 }, Limit::Below(1.0)] {
        for mean in [-100.0, 0.0, 100.0] {
            assert_eq!(factor(&clipper(limit, mean, 1.0), 0.0), 1.0);
            assert_eq!(factor(&clipper(limit, mean, 1.0), -0.0), 1.0);
        }
    }
}

#[test]
fn a_loss_on_the_bound_is_inside() {
    let both = clipper(Limit::Both { below: 2.0, above: 2.0 }, 10.0, 1.0);
    for loss in [8.0, 12.0] {
        assert_eq!(factor(&both, loss), 1.0);
    }
    assert!(factor(&both, 12.0_f64.next_up()) < 1.0);
    assert!(factor(&both, 8.0_f64.next_down()) > 1.0);
}

#[test]
fn f32_losses_meet_the_exact_bound() {
    let clipper = clipper(Limit::Above(0.0), 0.1, 0.0); // 0.1 is no f32
    let above = 0.1_f32; // rounds up, so it is above 0.1
    let mut factors = [0.0_f32; 2];
    let report = clipper.factors_only(&[above, above.next_down()], &mut factors).unwrap();
    assert_eq!(report.above, 1);
    assert_eq!(factors[1], 1.0);
}

#[test]
fn a_factor_is_never_negative() {
    let negative_bound = clipper(Limit::Above(1.0), -10.0, 1.0); // upper bound -9
    assert_eq!(factor(&negative_bound, 5.0), 0.0); // would be -1.8: the gradient reversed
    assert_eq!(factor(&negative_bound, -3.0), 3.0); // a positive factor reaches -9
    let positive_bound = clipper(Limit::Below(1.0), 10.0, 1.0); // lower bound 9
    assert_eq!(factor(&positive_bound, -5.0), 0.0);
    assert_eq!(factor(&clipper(Limit::Above(0.0), 0.0, 0.0), 5.0), 0.0); // bound 0
    assert!(factor(&clipper(Limit::Above(0.0), 0.0, 0.0), 5.0).is_sign_positive());
}

#[test]
fn an_offset_handles_losses_that_can_be_negative() {
    let mut with = clipper(Limit::Above(1.0), -10.0, 1.0);
    with = Clipper::new(Config { offset: 100.0, ..*with.config() }, with.state()).unwrap();
    assert_eq!(factor(&with, 5.0), (-9.0 + 100.0) / (5.0 + 100.0));
    let mut losses = [5.0_f64];
    with.clip(&mut losses).unwrap();
    assert!((losses[0] + 9.0).abs() < 1e-12); // it reaches the bound
}

#[test]
fn amplification_is_finite_and_can_be_capped() {
    let mut below = clipper(Limit::Below(1.0), 10.0, 1.0);
    assert_eq!(factor(&below, 1e-10), 9e10);
    let smallest = f64::MIN_POSITIVE * f64::EPSILON;
    assert!(factor(&below, smallest).is_finite());
    let mut factors = [0.0_f32];
    below.factors_only(&[1e-45_f32], &mut factors).unwrap();
    assert!(factors[0].is_finite() && (factors[0] * 1e-45).is_finite());
    below = Clipper::new(Config { max_factor: 5.0, ..*below.config() }, below.state()).unwrap();
    assert_eq!(factor(&below, 1e-10), 5.0);
    assert_eq!(factor(&below, 8.0), 9.0 / 8.0);
}

#[test]
fn bounds_beyond_the_losses_type() {
    let mut huge = clipper(Limit::Below(0.0), 1e100, 0.0);
    let mut factors = [0.0_f32; 3];
    let losses = [3e38_f32, 1.0, -1.0];
    huge.factors_only(&losses, &mut factors).unwrap();
    for (factor, loss) in factors.iter().zip(losses) {
        assert!(*factor >= 0.0 && (factor * loss).is_finite());
    }
    let mut clipped = losses;
    huge.clip(&mut clipped).unwrap();
    assert!(clipped.iter().all(|loss| loss.is_finite()));
}

/// An offset so far above the losses that nothing of them is left: rounding alone decides what they
/// become, but they stay in range, and so do the moments.
#[test]
fn an_offset_that_drowns_the_losses() {
    let limit = Limit::Fixed(Bounds::new(None, Some(1e38)).unwrap());
    let config = Config { limit, offset: -2.7e54, decay: 0.0, ..Config::default() };
    for losses in [vec![2e38_f32], vec![2e38; 11]] {
        let mut clipper = Clipper::new(config, Moments::default()).unwrap();
        let mut clipped = losses.clone();
        clipper.clip(&mut clipped).unwrap();
        assert!(clipped.iter().all(|loss| loss.is_finite()), "{clipped:?}");
        let moments = clipper.moments().unwrap();
        assert!(moments.mean().abs() <= f64::from(f32::MAX) && moments.variance() >= 0.0);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn constant_losses_have_a_standard_deviation() {
    let mut clipper = Clipper::new(Config::default(), Moments::new(1e4, 0.0).unwrap()).unwrap();
    for step in 0..100_000 {
        let wiggle = if step % 2 == 0 { 1e-3 } else { -1e-3 };
        let report = clipper.clip(&mut [1e4_f32 + wiggle]).unwrap();
        assert!(report.sigma.is_finite() && report.moments.unwrap().variance() >= 0.0);
    }
    let spread = f64::from(1e4_f32 + 1e-3) - 1e4; // f32 rounds the 1e-3
    let std_dev = clipper.moments().unwrap().std_dev();
    assert!((std_dev / spread - 1.0).abs() < 0.01, "{std_dev} {spread}");
}

#[test]
fn settings_outside_their_range() {
    let ok = Config::default();
    let nan = f64::NAN;
    let cases: [(Config, &str); 13] = [
        (Config { limit: Limit::Above(-1.0), ..ok }, "limit above is -1"),
        (Config { limit: Limit::Above(nan), ..ok }, "limit above is NaN"),
        (Config { limit: Limit::Below(f64::INFINITY), ..ok }, "limit below is inf"),
        (Config { limit: Limit::Both { below: 1.0, above: -2.0 }, ..ok }, "limit above is -2"),
        (Config { decay: 1.0, ..ok }, "decay is 1; expected 0 <= decay < 1"),
        (Config { decay: -0.1, ..ok }, "decay is -0.1"),
        (Config { decay: nan, ..ok }, "decay is NaN"),
        (Config { epsilon: -1e-9, ..ok }, "epsilon is"),
        (Config { epsilon: nan, ..ok }, "epsilon is NaN"),
        (Config { relative_epsilon: -1.0, ..ok }, "relative_epsilon is -1"),
        (Config { offset: f64::INFINITY, ..ok }, "offset is inf"),
        (Config { max_factor: 0.5, ..ok }, "max_factor is 0.5; expected at least 1"),
        (Config { max_factor: nan, ..ok }, "max_factor is NaN"),
    ];
    for (config, message) in cases {
        let error = Clipper::new(config, Moments::default()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn starts_outside_their_range() {
    let nan = f64::NAN;
    let starts = [
        (Moments::from_raw(25.0, 600.0), "mu2 is 600"),
        (Moments::from_raw(nan, 600.0), "mu2 is 600"),
        (Moments::from_raw(25.0, nan), "mu2 is NaN"),
        (Moments::from_raw(1e200, f64::INFINITY), "mu2 is inf"),
        (Moments::new(nan, 1.0), "mean is NaN"),
        (Moments::new(1.0, -1.0), "variance is -1"),
        (Moments::new(1.0, nan), "variance is NaN"),
        (Moments::new(f64::INFINITY, 1.0), "mean is inf"),
    ];
    for (start, message) in starts {
        let error = start.unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    assert!(Estimate::new(0, 3.0).is_err());
    assert!(Estimate::new(10, 0.5).is_err());
    assert!(Estimate::new(10, nan).is_err());
    assert!(Estimate::resume(10, 3.0, 10, [1.0].into_iter().collect()).is_err());
    assert!(Estimate::resume(10, 3.0, 1, BatchMoments::new()).is_err());
    assert!(Bounds::new(Some(2.0), Some(1.0)).is_err());
    assert!(Bounds::new(Some(nan), None).is_err());
}

#[test]
fn raw_moments_of_a_constant_survive_the_way_out_and_in() {
    for mean in [0.1, 1e-30, 123_456.789, 1e100] {
        let (mu1, mu2) = Moments::new(mean, 0.0).unwrap().raw();
        let back = Moments::from_raw(mu1, mu2).unwrap();
        assert_eq!((back.mean(), back.variance()), (mean, 0.0));
    }
}

#[test]
fn relative_epsilon_makes_clipping_independent_of_scale() {
    let relative = Config { epsilon: 0.0, relative_epsilon: 1e-4, ..Config::default() };
    let upper = |scale: f64| {
        let start = Moments::new(5.0 * scale, 0.0).unwrap();
        Clipper::new(relative, start).unwrap().bounds().upper() / scale
    };
    assert!((upper(1e-20) / upper(1.0) - 1.0).abs() < 1e-12);
    assert!((upper(1.0) - 5.15).abs() < 1e-12); // 5 + 3 * 1 % of 5
}

#[test]
fn fixed_bounds_do_not_follow_the_moments() {
    let bounds = Bounds::new(None, Some(50.0)).unwrap();
    let config = Config { limit: Limit::Fixed(bounds), ..Config::default() };
    let mut clipper = Clipper::new(config, Estimate::default()).unwrap();
    for _ in 0..20 {
        let mut losses = [100.0_f64, 20.0];
        clipper.clip(&mut losses).unwrap();
        assert_eq!(losses, [50.0, 20.0]);
        assert_eq!(clipper.bounds(), bounds);
    }
}

#[test]
fn estimated_starts() {
    let start = |limit, offset| {
        let config = Config { limit, offset, ..Config::default() };
        let mut clipper = Clipper::new(config, Estimate::new(2, 3.0).unwrap()).unwrap();
        let report = clipper.clip(&mut [1.0_f64, 1e6]).unwrap();
        assert_eq!((report.clipped(), report.moments), (0, None));
        clipper.clip(&mut [1.0_f64, 1e6]).unwrap();
        clipper.moments().unwrap()
    };
    let losses: BatchMoments = [1.0, 1e6].into_iter().collect();
    let (mean, variance) = (losses.mean(), losses.variance());
    let above = start(Limit::Above(3.0), 0.0);
    assert_eq!((above.mean(), above.variance()), (3.0 * mean, 9.0 * variance));
    let both = start(Limit::Both { below: 1.0, above: 1.0 }, 0.0);
    assert_eq!((both.mean(), both.variance()), (mean, 9.0 * (variance + mean * mean)));
    // Negative losses: an overestimate is above them, not below.
    let shifted = start(Limit::Above(3.0), -2e6);
    assert!(shifted.mean() > mean);
}

#[test]
fn rescaling_and_resetting() {
    let start = Moments::new(5.0, 4.0).unwrap();
    let mut clipper = clipper(Limit::Above(2.0), 5.0, 4.0);
    clipper.rescale(10.0).unwrap();
    assert_eq!(clipper.bounds().upper(), 90.0);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(clipper.rescale(bad).is_err());
    }
    assert_eq!(clipper.bounds().upper(), 90.0);
    clipper.reset(start);
    assert_eq!(clipper.state(), State::Running(start));
}

#[test]
fn the_report_says_what_happened() {
    let mut clipper = clipper(Limit::Both { below: 1.0, above: 1.0 }, 10.0, 4.0);
    let report = clipper.clip(&mut [7.0_f32, 10.0, 13.0, 99.0]).unwrap();
    assert_eq!((report.below, report.above, report.clipped()), (1, 2, 3));
    assert_eq!((report.bounds.lower(), report.bounds.upper()), (8.0, 12.0));
    assert_eq!((report.largest, report.sigma), (99.0, 2.0));
    assert_eq!(report.moments, Some(Moments::new(10.0, 4.0).unwrap()));
    assert_eq!((report.batch.count(), report.batch.mean()), (4, (8.0 + 10.0 + 12.0 + 12.0) / 4.0));
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn ten_million_steps_stay_finite() {
    let check = |name: &str, losses: [f64; 2], single: bool| {
        let mut clipper = Clipper::new(Config::default(), Moments::default()).unwrap();
        for step in 0..10_000_000 {
            let loss = losses[step % 2];
            if single {
                clipper.clip(&mut [loss as f32]).unwrap();
            } else {
                clipper.clip(&mut [loss]).unwrap();
            }
        }
        let moments = clipper.moments().unwrap();
        let restored = Moments::new(moments.mean(), moments.variance()).unwrap();
        assert_eq!(restored, moments, "{name}");
        let scale = losses[0].abs().max(losses[1].abs());
        let true_mean = 0.5 * (losses[0] + losses[1]);
        assert!((moments.mean() - true_mean).abs() < 1e-3 * scale, "{name}: {moments:?}");
    };
    check("constant", [1.0, 1.0], true);
    check("tiny", [1e-30, 1e-30], true);
    check("alternating", [1.0, -1.0], true);
    // Losses far above the start's bound climb to it, a standard deviation at a time.
    check("huge", [1e30, 1e30], true);
    check("huge f64", [1e150, 1e150], false);
    check("alternating huge", [1e150, -1e150], false);
}
