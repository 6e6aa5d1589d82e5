//! The layer in a Candle step: mean of losses and backward, without it, with it, and with some losses
//! clipped. The losses are the same, so the difference is what the layer adds.

mod common;

use alrc_candle::{Alrc, Config, Moments};
use candle_core::{Device, Tensor, Var};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn layer(mean: f64) -> Alrc {
    let config = Config { decay: 1.0 - f64::EPSILON, ..Config::default() };
    Alrc::new(config, Moments::new(mean, 1.0).expect("in range")).expect("in range")
}

fn step(weight: &Var, losses: &Tensor, alrc: Option<&mut Alrc>) -> candle_core::Result<()> {
    let losses = losses.broadcast_mul(weight)?;
    let losses = match alrc {
        Some(alrc) => alrc.forward(&losses).map_err(candle_core::Error::wrap)?.losses,
        None => losses,
    };
    black_box(losses.mean_all()?.backward()?);
    Ok(())
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("layer");
    for count in [1, 64, 4_096, 1 << 20] {
        let losses: Vec<f32> = (0..count).map(|i| if i % 50 == 1 { 20.0 } else { 9.5 }).collect();
        let losses = Tensor::new(losses, &Device::Cpu).expect("a tensor");
        let weight = Var::new(1.0_f32, &Device::Cpu).expect("a variable");
        // At a mean of 10 every 50th loss is clipped, at 100 none.
        for (name, mut alrc) in
            [("without", None), ("none", Some(layer(100.0))), ("some", Some(layer(10.0)))]
        {
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| step(&weight, &losses, alrc.as_mut()).expect("a step"));
            });
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = common::settings(); targets = steps }
criterion_main!(benches);
