//! Skipping, saving and restoring.
#![allow(clippy::unwrap_used)]

use alrc_candle::{Alrc, Config, Error, Estimate, Step};
use candle_core::{Device, Tensor};
use std::collections::HashMap;

const CPU: &Device = &Device::Cpu;

fn losses(values: &[f32]) -> Tensor {
    Tensor::new(values, CPU).unwrap()
}

#[test]
fn bad_losses_are_an_error_or_a_skipped_step() {
    let mut alrc = Alrc::default().with_max_skips(3);
    let before = alrc.clipper().clone();
    let bad = losses(&[1.0, f32::INFINITY, f32::NAN]);
    let error = alrc.forward(&bad).unwrap_err().to_string();
    assert!(error.contains("loss 1 ") && error.contains("inf"), "{error}");
    for round in 0..2 {
        for in_a_row in 1..=2 {
            let Step::Skip(skipped) = alrc.forward_or_skip(&bad).unwrap() else { panic!() };
            assert_eq!((skipped.index, skipped.value), (1, f64::INFINITY));
            assert_eq!((skipped.non_finite, skipped.in_a_row), (2, in_a_row));
        }
        assert_eq!(alrc.clipper().state(), before.state());
        if round == 0 {
            // A good step ends the row.
            let good = alrc.forward_or_skip(&losses(&[25.0])).unwrap();
            assert!(matches!(good, Step::Train(_)));
            alrc.clipper_mut().reset(before.state());
        }
    }
    let error = alrc.forward_or_skip(&bad).unwrap_err();
    assert!(matches!(error, Error::TooManySkips { in_a_row: 3, index: 1, .. }), "{error}");
    assert!(error.to_string().contains("lower the learning rate"));
    assert_eq!(alrc.skipped(), 5);
}

#[test]
fn a_resumed_layer_equals_an_uninterrupted_one() {
    let batch = |step: u32| losses(&[(step * 37 % 11) as f32, (step * 53 % 101) as f32]);
    let fresh = || Alrc::new(Config::default(), Estimate::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for cut in [0, 1, 9, 10, 11, 50] {
        let mut whole = fresh();
        for step in 0..cut {
            whole.forward(&batch(step)).unwrap();
        }
        whole.forward_or_skip(&losses(&[f32::NAN])).unwrap();
        candle_core::safetensors::save(&whole.state("a.b").unwrap(), &path).unwrap();
        let mut resumed = fresh();
        let saved = candle_core::safetensors::load(&path, CPU).unwrap();
        resumed.load_state("a.b", &saved).unwrap();
        assert_eq!(resumed, whole);
        for step in cut..100 {
            let a = whole.forward(&batch(step)).unwrap();
            let b = resumed.forward(&batch(step)).unwrap();
            let values = |t: &Tensor| t.to_vec1::<f32>().unwrap();
            assert_eq!(values(&a.losses), values(&b.losses));
            assert_eq!(a.report.bounds, b.report.bounds);
        }
        assert_eq!(resumed, whole);
    }
}

#[test]
fn a_damaged_state_is_refused_by_name_and_changes_nothing() {
    let good = Alrc::default().state("alrc").unwrap();
    let set = |name: &str, tensor: Option<Tensor>| {
        let mut changed = good.clone();
        changed.remove(name);
        changed.extend(tensor.map(|tensor| (name.to_owned(), tensor)));
        changed
    };
    let scalar = |value: f64| Some(Tensor::new(value, CPU).unwrap());
    let cases: Vec<(HashMap<_, _>, &[&str])> = vec![
        (HashMap::new(), &["alrc.version", "missing"]),
        (set("alrc.version", Some(Tensor::new(9_i64, CPU).unwrap())), &["version", "9", "reads 1"]),
        (set("alrc.variance", None), &["alrc.variance", "missing"]),
        (set("alrc.variance", scalar(-1.0)), &["variance is -1", "expected"]),
        (set("alrc.mean", scalar(f64::NAN)), &["mean is NaN", "expected"]),
        (set("alrc.mean", Some(losses(&[1.0]))), &["alrc.mean", "F32", "expected one F64"]),
        (
            set("alrc.skipped_total", Some(Tensor::new(-4_i64, CPU).unwrap())),
            &["skipped_total", "-4"],
        ),
    ];
    for (saved, words) in cases {
        let mut alrc = Alrc::default();
        alrc.forward(&losses(&[1.0])).unwrap();
        let before = alrc.clone();
        let error = alrc.load_state("alrc", &saved).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert_eq!(alrc, before);
    }
}
