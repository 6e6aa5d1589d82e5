//! The core alone: what clipping a batch of losses costs.

mod common;

use alrc_core::{Clipper, Config, Float, Moments};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;

/// Losses a batch.
const BATCHES: [usize; 4] = [1, 64, 4_096, 1 << 20];
/// How many losses are clipped: none, every 50th, all.
const CLIPPED: [&str; 3] = ["none", "some", "all"];

/// Mean 10, variance 1, bound 13. The moments hardly move, so that every round is like the first.
fn clipper() -> Clipper {
    let config = Config { decay: 1.0 - f64::EPSILON, ..Config::default() };
    let moments = Moments::new(10.0, 1.0).expect("in range");
    Clipper::new(config, moments).expect("in range")
}

fn losses(count: usize, clipped: &str) -> Vec<f64> {
    let small = |i: usize| 9.0 + (i % 7) as f64 / 4.0;
    let loss = |i: usize| match clipped {
        "all" => 20.0 + small(i),
        "some" if i.is_multiple_of(50) => 20.0,
        _ => small(i),
    };
    (0..count).map(loss).collect()
}

fn batches<F: Float + From<f32>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    convert: impl Fn(f64) -> F,
) {
    for count in BATCHES {
        for clipped in CLIPPED {
            let losses: Vec<F> = losses(count, clipped).into_iter().map(&convert).collect();
            let mut factors = vec![F::from(1.0_f32); count];
            let mut clipper = clipper();
            let id = BenchmarkId::new(format!("{name}/{clipped}"), count);
            group.bench_function(id, |bencher| {
                bencher
                    .iter(|| clipper.factors(black_box(&losses), black_box(&mut factors)).is_ok());
            });
        }
    }
}

fn core(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core");
    let mut scalar = clipper();
    group.bench_function("scalar", |bencher| {
        bencher.iter(|| {
            let mut loss = [black_box(9.0_f32)];
            let good = scalar.clip(&mut loss).is_ok();
            (loss, good)
        });
    });
    batches(&mut group, "f32", |loss| loss as f32);
    batches(&mut group, "f64", |loss| loss);
    group.finish();
}

criterion_group! { name = benches; config = common::settings(); targets = core }
criterion_main!(benches);
