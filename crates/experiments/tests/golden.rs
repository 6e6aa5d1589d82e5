//! The network, both losses, all gradients and 30 training steps against TensorFlow's.
#![allow(clippy::unwrap_used)]

use alrc_candle::{Alrc, Config, Limit, Moments};
use candle_core::{Device, Tensor};
use experiments::optimizer::{Optimizer, OptimizerKind};
use experiments::supersample::{LossKind, Network, raw_losses, square_root_of_large};
use std::collections::HashMap;
use test_data::TensorFile;

fn tensor(file: &TensorFile, name: &str) -> Tensor {
    let (shape, values) = file.values(name).unwrap();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// A network with the golden start weights.
fn network(file: &TensorFile) -> Network {
    let network = Network::new(file.setting("width").unwrap(), 0, &Device::Cpu).unwrap();
    let start: HashMap<String, Tensor> = network
        .parameters()
        .iter()
        .map(|(name, _)| (format!("init.{name}"), tensor(file, &format!("init.{name}"))))
        .collect();
    network.parameters().load("init", &start).unwrap();
    network
}

/// The largest difference, relative to the largest expected entry.
fn of_largest(ours: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(ours.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let off = ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    f64::from(off / largest)
}

fn relative(ours: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(ours.len(), expected.len());
    let off = |(a, b): (&f32, &f32)| f64::from((a - b).abs() / b.abs());
    ours.iter().zip(expected).map(off).fold(0.0, f64::max)
}

#[test]
fn forward_losses_and_gradients() {
    for file in TensorFile::all("supersample").unwrap() {
        let network = network(&file);
        let target = tensor(&file, "standardized");
        let output = network.forward(&tensor(&file, "upsampled32")).unwrap();
        let off = of_largest(&values(&output), &file.values("output").unwrap().1);
        println!("output: {off:.1e}");
        assert!(off < 1e-4, "output: {off:e}");
        for (kind, name) in [(LossKind::Squared, "squared"), (LossKind::Quartic, "quartic")] {
            let raw = raw_losses(kind, &output, &target).unwrap();
            let loss = square_root_of_large(&raw).unwrap();
            for (ours, which) in [(&raw, "raw_loss"), (&loss, "loss")] {
                let off =
                    relative(&values(ours), &file.values(&format!("{name}.{which}")).unwrap().1);
                println!("{name}.{which}: {off:.1e}");
                assert!(off < 1e-4, "{name}.{which}: {off:e}");
            }
            let gradients = loss.mean_all().unwrap().backward().unwrap();
            let mut worst = 0.0_f64;
            for (parameter, var) in network.parameters().iter() {
                let expected = file.values(&format!("{name}.grad.{parameter}")).unwrap().1;
                let off = of_largest(&values(gradients.get(var).unwrap()), &expected);
                assert!(off < 1e-4, "{name}.grad.{parameter}: {off:e}");
                worst = worst.max(off);
            }
            println!("{name} gradients: {worst:.1e}");
        }
    }
}

#[test]
fn thirty_steps() {
    for file in TensorFile::all("supersample").unwrap() {
        for (kind, name) in [(OptimizerKind::Adam, "adam"), (OptimizerKind::Sgd, "sgd")] {
            let network = network(&file);
            let mut optimizer = Optimizer::new(kind, network.parameters()).unwrap();
            let rate: f64 = file.setting(&format!("{name}_learning_rate")).unwrap();
            let config = Config {
                limit: Limit::Above(file.setting("train_num_stddev").unwrap()),
                decay: file.setting("train_decay").unwrap(),
                ..Config::default()
            };
            let start = Moments::from_raw(
                file.setting("train_mu1_start").unwrap(),
                file.setting("train_mu2_start").unwrap(),
            );
            let mut alrc = Alrc::new(config, start.unwrap()).unwrap();
            let input = tensor(&file, "upsampled32");
            let target = tensor(&file, "standardized");
            let expected = |what: &str| file.values(&format!("train.{name}.{what}")).unwrap().1;
            let (losses, clipped) = (expected("loss"), expected("clipped"));
            let (mu1, mu2) = (expected("mu1"), expected("mu2"));
            let batch = losses.len() / mu1.len();
            let mut worst = 0.0_f64;
            for step in 0..mu1.len() {
                let output = network.forward(&input).unwrap();
                let raw = raw_losses(LossKind::Squared, &output, &target).unwrap();
                let loss = square_root_of_large(&raw).unwrap();
                let limited = alrc.forward(&loss).unwrap().losses;
                let gradients = limited.mean_all().unwrap().backward().unwrap();
                optimizer.step(&gradients, rate).unwrap();
                let here = step * batch..(step + 1) * batch;
                let raw_moments = alrc.clipper().moments().unwrap().raw();
                for off in [
                    relative(&values(&loss), &losses[here.clone()]),
                    relative(&values(&limited), &clipped[here]),
                    relative(&[raw_moments.0 as f32], &[mu1[step]]),
                    relative(&[raw_moments.1 as f32], &[mu2[step]]),
                ] {
                    assert!(off < 1e-3, "{name} step {step}: {off:e}");
                    worst = worst.max(off);
                }
            }
            let mut worst_weight = 0.0_f64;
            for (parameter, var) in network.parameters().iter() {
                let off = of_largest(&values(var), &expected(&format!("final.{parameter}")));
                assert!(off < 1e-4, "{name} final {parameter}: {off:e}");
                worst_weight = worst_weight.max(off);
            }
            println!("{name}: losses and moments {worst:.1e}, final weights {worst_weight:.1e}");
        }
    }
}
