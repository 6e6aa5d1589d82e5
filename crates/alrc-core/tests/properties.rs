//! Properties of clipping and of the moments, on random inputs.
#![allow(clippy::unwrap_used)]

use alrc_core::{
    BatchMoments, Bounds, Clipper, Config, Error, Estimate, Float, LARGEST_LOSS, Limit, Moments,
    Report, State,
};
use proptest::prelude::*;

/// Losses of every kind: usual ones, all magnitudes, zeros, and ones that are not usable.
fn any_loss() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => 0.0..100.0_f64,
        4 => (-170.0..170.0_f64, any::<bool>())
            .prop_map(|(e, negative)| libm::exp10(e) * if negative { -1.0 } else { 1.0 }),
        1 => Just(0.0),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
        1 => prop_oneof![Just(LARGEST_LOSS), Just(-LARGEST_LOSS), Just(f64::from_bits(1))],
    ]
}

fn usable_loss() -> impl Strategy<Value = f64> {
    any_loss().prop_filter("usable", |loss| loss.abs() <= LARGEST_LOSS)
}

fn limit() -> impl Strategy<Value = Limit> {
    let n = || prop_oneof![Just(0.0), 0.0..5.0_f64, Just(1e200)];
    prop_oneof![
        n().prop_map(Limit::Above),
        n().prop_map(Limit::Below),
        (n(), n()).prop_map(|(below, above)| Limit::Both { below, above }),
        (usable_loss(), usable_loss())
            .prop_map(|(a, b)| Limit::Fixed(Bounds::new(Some(a.min(b)), Some(a.max(b))).unwrap())),
    ]
}

prop_compose! {
    fn config()(
        limit in limit(),
        decay in prop_oneof![Just(0.0), 0.0..1.0_f64, Just(0.999), Just(1.0_f64.next_down())],
        epsilon in prop_oneof![Just(0.0), Just(1e-8), Just(1e300)],
        relative_epsilon in prop_oneof![Just(0.0), Just(1e-3)],
        offset in prop_oneof![4 => Just(0.0), 1 => usable_loss()],
        max_factor in prop_oneof![Just(f64::INFINITY), 1.0..100.0_f64],
    ) -> Config {
        Config { limit, decay, epsilon, relative_epsilon, offset, max_factor }
    }
}

prop_compose! {
    fn moments()(mean in usable_loss(), spread in usable_loss()) -> Moments {
        Moments::new(mean, (spread * spread).min(1e300)).unwrap()
    }
}

fn start() -> impl Strategy<Value = State> {
    prop_oneof![
        3 => moments().prop_map(State::from),
        1 => (1..5_u32, 1.0..10.0_f64).prop_map(|(n, k)| Estimate::new(n, k).unwrap().into()),
    ]
}

/// The state from the numbers that a checkpoint holds.
fn rebuilt(state: State) -> Result<State, Error> {
    Ok(match state {
        State::Running(it) => Moments::new(it.mean(), it.variance())?.into(),
        State::Estimating(it) => {
            Estimate::resume(it.steps(), it.overestimate(), it.seen(), *it.losses())?.into()
        }
    })
}

fn is_valid(state: State) -> bool {
    rebuilt(state) == Ok(state)
}

fn one_by_one<F: Float + From<f32>>(clipper: &Clipper, losses: &[F]) -> Result<(), TestCaseError> {
    let unused = F::from(-7.0);
    let (mut factors, mut clipped) = (vec![unused; losses.len()], losses.to_vec());
    let report = clipper.factors_only(losses, &mut factors);
    // As text: a NaN is not equal to itself.
    let text = |report: Result<Report, Error>| format!("{report:?}");
    prop_assert_eq!(text(clipper.clip_only(&mut clipped)), text(report));
    // One NaN is as good as another.
    let bits = |losses: &[F]| -> Vec<u64> {
        let bits = |loss: f64| if loss.is_nan() { u64::MAX } else { loss.to_bits() };
        losses.iter().map(|&loss| bits(loss.into())).collect()
    };
    let mut singles: Vec<_> = losses.iter().map(|&loss| ([loss], [unused], [loss])).collect();
    let reports: Vec<_> = singles
        .iter_mut()
        .map(|(loss, factor, clipped)| {
            clipper.clip_only(clipped).and(clipper.factors_only(loss, factor))
        })
        .collect();
    let Ok(report) = report else {
        let bad = |report: &Result<_, _>| report.is_err();
        let (index, count) =
            (reports.iter().position(bad), reports.iter().filter(|r| bad(r)).count());
        prop_assert!(
            matches!(report, Err(Error::BadLoss { index: at, count: several, .. })
                if Some(at) == index && several == count),
            "{:?}: {:?}",
            report,
            index
        );
        prop_assert_eq!(bits(&clipped), bits(losses));
        prop_assert_eq!(bits(&factors), bits(&vec![unused; losses.len()]));
        return Ok(());
    };
    let reports = reports.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    prop_assert_eq!(bits(&factors), singles.iter().flat_map(|s| bits(&s.1)).collect::<Vec<_>>());
    prop_assert_eq!(bits(&clipped), singles.iter().flat_map(|s| bits(&s.2)).collect::<Vec<_>>());
    prop_assert_eq!(report.above, reports.iter().map(|report| report.above).sum::<u64>());
    prop_assert_eq!(report.below, reports.iter().map(|report| report.below).sum::<u64>());
    let largest = reports.iter().map(|report| report.largest).fold(f64::NEG_INFINITY, f64::max);
    prop_assert_eq!(report.largest, largest);
    let clipped: Vec<f64> = clipped.into_iter().map(Into::into).collect();
    prop_assert!(clipped.iter().all(|loss| loss.is_finite()));
    let n = clipped.len() as f64;
    let mean = clipped.iter().map(|loss| loss / n).sum::<f64>();
    let variance = clipped.iter().map(|loss| (loss - mean).powi(2) / n).sum::<f64>();
    let scale = clipped.iter().map(|loss| loss.abs()).fold(0.0, f64::max);
    prop_assert!((report.batch.mean() - mean).abs() <= 1e-12 * scale + f64::MIN_POSITIVE);
    let variance = variance.min(LARGEST_LOSS * LARGEST_LOSS);
    // Squares of losses near the smallest numbers have no digits left.
    let rounding = 1e-12 * scale * scale + f64::MIN_POSITIVE;
    prop_assert!((report.batch.variance() - variance).abs() <= rounding);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 1024 }))]

    #[test]
    fn no_input_makes_the_state_invalid_and_an_error_changes_nothing(
        config in config(),
        start in start(),
        batches in prop::collection::vec(prop::collection::vec(any_loss(), 0..40), 1..12),
    ) {
        let mut clipper = Clipper::new(config, start).unwrap();
        for batch in batches {
            let before = clipper.clone();
            let mut losses = batch.clone();
            let usable = !batch.is_empty() && batch.iter().all(|loss| loss.abs() <= LARGEST_LOSS);
            match clipper.clip(&mut losses) {
                Ok(_) => {
                    prop_assert!(usable);
                    prop_assert!(losses.iter().all(|loss| loss.is_finite()));
                }
                Err(_) => {
                    prop_assert!(!usable);
                    prop_assert_eq!(clipper.state(), before.state());
                    let bits = |losses: &[f64]| losses.iter().map(|l| l.to_bits()).collect::<Vec<_>>();
                    prop_assert_eq!(bits(&losses), bits(&batch));
                }
            }
            prop_assert!(is_valid(clipper.state()), "{:?}", clipper.state());
            let bounds = clipper.bounds();
            prop_assert!(bounds.lower() <= bounds.upper(), "{:?}", bounds);
        }
    }

    #[test]
    fn clipped_losses_lie_within_the_bounds(
        config in config(),
        start in moments(),
        losses in prop::collection::vec(usable_loss(), 1..40),
    ) {
        let clipper = Clipper::new(config, start).unwrap();
        let bounds = clipper.bounds();
        let max_factor = config.max_factor.min(f64::MAX / 2.0); // subnormal losses
        let mut factors = vec![f64::NAN; losses.len()];
        clipper.factors_only(&losses, &mut factors).unwrap();
        let mut clipped = losses.clone();
        clipper.clip_only(&mut clipped).unwrap();
        for ((loss, factor), clipped) in losses.iter().zip(factors).zip(clipped) {
            let shifted = loss + config.offset;
            let outside = *loss > bounds.upper() || *loss < bounds.lower();
            if !outside || shifted == 0.0 {
                prop_assert_eq!((factor, clipped), (1.0, *loss));
                continue;
            }
            prop_assert!(factor.is_sign_positive() && factor.is_finite());
            prop_assert!(factor <= max_factor);
            let bound = if *loss > bounds.upper() { bounds.upper() } else { bounds.lower() };
            let reachable = (bound + config.offset) / shifted;
            let rounding = 1e-14 * (bound.abs() + config.offset.abs() + shifted.abs());
            if reachable > 0.0 && reachable <= max_factor {
                prop_assert!((clipped - bound).abs() <= rounding, "{} for {}", clipped, bound);
            } else if reachable > 0.0 {
                prop_assert_eq!(factor, max_factor); // moved as far as allowed
            } else {
                prop_assert_eq!(factor, 0.0);
            }
        }
    }

    /// Batches of several blocks, most of whose losses are within the bounds, against their losses one
    /// by one.
    #[test]
    fn a_batch_is_clipped_as_its_losses_are_one_by_one(
        config in config(),
        losses in prop::collection::vec(prop_oneof![100 => 0.0..10.0_f64, 1 => any_loss()], 1..300),
    ) {
        let clipper = Clipper::new(config, Moments::new(5.0, 9.0).unwrap()).unwrap();
        one_by_one(&clipper, &losses)?;
        one_by_one(&clipper, &losses.iter().map(|&loss| loss as f32).collect::<Vec<_>>())?;
    }

    #[test]
    fn f32_factors_shrink_what_is_above_a_positive_bound(
        mean in 1e-3..1e6_f64,
        relative in 0.0..3.0_f64,
        losses in prop::collection::vec(0.0..1e9_f32, 1..70),
    ) {
        let variance = (mean * relative).powi(2);
        let clipper = Clipper::new(Config::default(), Moments::new(mean, variance).unwrap()).unwrap();
        let upper = clipper.bounds().upper();
        let mut factors = vec![f32::NAN; losses.len()];
        let report = clipper.factors_only(&losses, &mut factors).unwrap();
        let above = losses.iter().filter(|&&loss| f64::from(loss) > upper).count();
        prop_assert_eq!(report.above, above as u64);
        for (loss, factor) in losses.iter().zip(factors) {
            if f64::from(*loss) > upper {
                prop_assert!(0.0 < factor && factor <= 1.0);
                prop_assert!((f64::from(factor * loss) / upper - 1.0).abs() < 2e-7);
            } else {
                prop_assert_eq!(factor, 1.0);
            }
        }
    }

    #[test]
    fn merging_at_every_split_point_equals_one_pass(
        losses in prop::collection::vec(-1e3..1e3_f64, 1..60),
        origin in prop_oneof![Just(0.0), Just(1e6), Just(-1e9)],
    ) {
        let losses: Vec<f64> = losses.iter().map(|loss| loss + origin).collect();
        let clipper = Clipper::new(Config { limit: Limit::Fixed(Bounds::NONE), ..Config::default() },
            Moments::default()).unwrap();
        let moments = |part: &[f64]| match part {
            [] => BatchMoments::new(),
            part => clipper.clip_only(&mut part.to_vec()).unwrap().batch,
        };
        let whole = moments(&losses);
        // Two passes, as the definition says.
        let n = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / n;
        let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / n;
        let mean_rounding = 1e-14 * (origin.abs() + 1e3);
        let rounding = 1e-12 * 1e6 + 2.0 * 1e3 * mean_rounding;
        for split in 0..=losses.len() {
            let mut merged = moments(&losses[..split]);
            merged.merge(&moments(&losses[split..]));
            for found in [&merged, &whole] {
                prop_assert_eq!(found.count(), losses.len() as u64);
                prop_assert!((found.mean() - mean).abs() <= mean_rounding);
                prop_assert!((found.variance() - variance).abs() <= rounding);
            }
            prop_assert!((merged.sum_of_squares() - n * variance).abs() <= n * rounding);
        }
        let one_by_one: BatchMoments = losses.iter().copied().collect();
        prop_assert!((one_by_one.variance() - variance).abs() <= rounding);
    }

    #[test]
    fn several_workers_end_with_the_moments_of_one(
        limit in limit(),
        steps in prop::collection::vec(prop::collection::vec(0.0..500.0_f64, 2..40), 1..20),
        workers in 1..4_usize,
    ) {
        let config = Config { limit, ..Config::default() };
        let mut one = Clipper::new(config, Moments::default()).unwrap();
        let mut several = one.clone();
        for batch in &steps {
            one.clip(&mut batch.clone()).unwrap();
            let mut seen = BatchMoments::new();
            for part in batch.chunks(batch.len().div_ceil(workers)) {
                seen.merge(&several.clip_only(&mut part.to_vec()).unwrap().batch);
            }
            several.observe(&seen).unwrap();
        }
        let (a, b) = (one.moments().unwrap(), several.moments().unwrap());
        // A bound's rounding is fed back through n * std: hence not the last bit.
        let scale = a.mean().abs() + a.std_dev() + 1e-6;
        prop_assert!((a.mean() - b.mean()).abs() <= 1e-9 * scale);
        prop_assert!((a.std_dev() - b.std_dev()).abs() <= 1e-6 * scale);
    }

    #[test]
    fn every_reachable_state_restores_to_equal_behaviour(
        config in config(),
        start in start(),
        batches in prop::collection::vec(prop::collection::vec(usable_loss(), 1..20), 1..12),
        cut in 0..12_usize,
    ) {
        let mut clipper = Clipper::new(config, start).unwrap();
        let cut = cut.min(batches.len());
        for batch in &batches[..cut] {
            clipper.clip(&mut batch.clone()).unwrap();
        }
        let mut restored = Clipper::new(config, rebuilt(clipper.state()).unwrap()).unwrap();
        for batch in &batches[cut..] {
            let (mut a, mut b) = (batch.clone(), batch.clone());
            clipper.clip(&mut a).unwrap();
            restored.clip(&mut b).unwrap();
            prop_assert_eq!(a, b);
            prop_assert_eq!(clipper.state(), restored.state());
        }
    }
}
