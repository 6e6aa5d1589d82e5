//! The two-stage generator against TensorFlow's: outputs, losses and all gradients.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use datasets::{blur, resize_to};
use experiments::stem::{Generator, Scan, raw_loss};
use std::collections::HashMap;
use test_data::TensorFile;

#[test]
fn outputs_losses_and_gradients() {
    let mut checked = 0;
    for file in TensorFile::all("stem").unwrap() {
        let Ok(divisor) = file.setting("width_divisor") else { continue };
        checked += 1;
        let side: usize = file.setting("side").unwrap();
        let generator = Generator::new(divisor, 0, &Device::Cpu).unwrap();
        let start: HashMap<String, Tensor> = generator
            .parameters()
            .iter()
            .map(|(name, _)| {
                let (shape, values) = file.values(name).unwrap();
                let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
                (format!("golden.{name}"), tensor)
            })
            .collect();
        generator.parameters().load("golden", &start).unwrap();

        let [truth, mask, scan] =
            ["truth", "mask", "partial_scan"].map(|name| file.values(name).unwrap().1);
        let mask: Vec<u8> = mask.iter().map(|&x| (16.0 * x) as u8).collect();
        let scan = Scan::new(&scan, &mask, (side, side));
        let (full, half) = scan.tensors(&Device::Cpu).unwrap();
        let outputs = generator.forward(&full, &half, true).unwrap();
        let inner = outputs.inner.unwrap();
        let features = outputs.features.to_tensor().unwrap().permute((0, 3, 1, 2)).unwrap();
        for (name, ours) in [("features", &features), ("inner", &inner), ("outer", &outputs.outer)]
        {
            let expected = file.values(&format!("out.{name}")).unwrap().1;
            let ours: Vec<f32> = ours.flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(ours.len(), expected.len());
            let off = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{name}: {off:.1e}");
            assert!(off < 1e-4, "{name}: {off:e}");
        }

        let small = resize_to(&truth, (side, side), (side / 2, side / 2));
        let target = |values: Vec<f32>, side: usize| {
            Tensor::from_vec(values, (1, side, side, 1), &Device::Cpu).unwrap()
        };
        let outer_target = target(blur(&truth, side, side), side);
        let inner_target = target(blur(&small, side / 2, side / 2), side / 2);
        let losses = [
            ("outer", raw_loss(&outputs.outer, &outer_target).unwrap()),
            ("inner", raw_loss(&inner, &inner_target).unwrap()),
        ];
        for (name, loss) in &losses {
            let expected = file.values(&format!("loss.{name}")).unwrap().1[0];
            let loss = loss.to_vec1::<f32>().unwrap()[0];
            println!("{name} loss: {loss} for {expected}");
            assert!(
                (loss - expected).abs() < 1e-4 * expected,
                "{name} loss: {loss} for {expected}"
            );
        }

        let gradients = (&losses[0].1 + &losses[1].1).unwrap().backward().unwrap();
        let mut worst = 0.0_f32;
        for (name, var) in generator.parameters().iter() {
            let expected = file.values(&format!("grad.{name}")).unwrap().1;
            let ours: Vec<f32> =
                gradients.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let off = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-3 * largest, "{name}: {off:e} of {largest:e}");
            worst = worst.max(off / largest);
        }
        println!("gradients: {worst:.1e}");
    }
    assert!(checked > 0, "no golden generator");
}
