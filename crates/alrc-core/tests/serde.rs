//! Snapshots as text: exact, and checked on the way in.
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used)]

use alrc_core::{Bounds, Clipper, Config, Estimate, Limit, Moments};

#[test]
fn a_snapshot_survives_json() {
    let limits = [
        Limit::Above(2.0),
        Limit::Below(0.1),
        Limit::Both { below: 1.0, above: 3.0 },
        Limit::Fixed(Bounds::new(None, Some(50.0)).unwrap()),
    ];
    for limit in limits {
        for estimating in [true, false] {
            let config = Config { limit, max_factor: 10.0, ..Config::default() };
            let mut clipper = Clipper::new(config, Moments::default()).unwrap();
            if estimating {
                clipper.reset(Estimate::default());
            }
            for i in 0..5_u8 {
                clipper.clip(&mut [f64::from(i) / 3.0]).unwrap();
            }
            let text = serde_json::to_string(&clipper).unwrap();
            let restored: Clipper = serde_json::from_str(&text).unwrap();
            assert_eq!(restored, clipper, "{text}");
        }
    }
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let config = Config { max_factor: 10.0, ..Config::default() };
    let good = serde_json::to_string(&Clipper::new(config, Moments::default()).unwrap()).unwrap();
    for (from, to) in [
        ("\"variance\":275.0", "\"variance\":-275.0"),
        ("\"decay\":0.999", "\"decay\":1.5"),
        ("\"mean\":25.0", "\"mean\":1e200"),
        ("\"mean\":25.0", "\"median\":25.0"),
        ("\"above\":3.0", "\"above\":-3.0"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        let error = serde_json::from_str::<Clipper>(&bad).unwrap_err().to_string();
        assert!(error.contains("expected"), "{error}");
    }
}
