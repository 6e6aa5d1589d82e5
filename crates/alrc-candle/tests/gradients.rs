//! Clipped losses and their gradients, through `backward()`.
#![allow(clippy::unwrap_used)]

use alrc_candle::{Alrc, Config, Error, Limit, Moments};
use candle_core::{DType, Device, Tensor, Var};
use test_data::AlrcFile;

const CPU: &Device = &Device::Cpu;

fn layer(limit: Limit, mean: f64, variance: f64) -> Alrc {
    let config = Config { limit, epsilon: 0.0, ..Config::default() };
    Alrc::new(config, Moments::new(mean, variance).unwrap()).unwrap()
}

fn f64s(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

/// Clipped losses, and the gradient of their sum by the losses.
fn clip(alrc: &mut Alrc, losses: &Tensor) -> (Vec<f64>, Vec<f64>) {
    let losses = Var::from_tensor(losses).unwrap();
    let clipped = alrc.forward(&losses).unwrap().losses;
    assert_eq!((clipped.shape(), clipped.dtype()), (losses.shape(), losses.dtype()));
    let gradients = clipped.sum_all().unwrap().backward().unwrap();
    (f64s(&clipped), f64s(gradients.get(&losses).unwrap()))
}

#[test]
fn golden_values_and_gradients() {
    let mut worst = 0.0_f64;
    for file in AlrcFile::all().unwrap() {
        let c = &file.config;
        let limit = match (c.num_stddev_below, c.num_stddev_above) {
            (None, Some(above)) => Limit::Above(above),
            (Some(below), None) => Limit::Below(below),
            (Some(below), Some(above)) => Limit::Both { below, above },
            (None, None) => panic!("a golden file without any limit"),
        };
        let config = Config { limit, decay: c.decay, epsilon: c.epsilon, ..Config::default() };
        let mut alrc =
            Alrc::new(config, Moments::from_raw(c.mu1_start, c.mu2_start).unwrap()).unwrap();
        for (number, step) in file.steps.iter().enumerate() {
            let losses = Tensor::from_slice(&step.loss, file.shape.as_slice(), CPU).unwrap();
            let (clipped, gradients) = clip(&mut alrc, &losses);
            for i in 0..clipped.len() {
                let relative = |ours: f64, theirs: f64| {
                    (ours - theirs).abs() / theirs.abs().max(f64::MIN_POSITIVE)
                };
                let off = relative(clipped[i], step.clipped[i])
                    .max(relative(gradients[i], step.grad_scale[i]));
                assert!(off < 2e-5, "{} step {number} loss {i}: {off:e}", file.path.display());
                worst = worst.max(off);
            }
        }
    }
    println!("largest relative deviation: {worst:.1e}");
}

#[test]
fn every_float_type_and_batch_size() {
    // The largest rounding of a factor and of a product: two half units in the last place.
    for (dtype, rounding) in
        [(DType::F64, 3e-16), (DType::F32, 2e-7), (DType::F16, 1e-3), (DType::BF16, 8e-3)]
    {
        for batch in [1_usize, 2, 15, 16, 17, 64, 1000, 4096] {
            let losses: Vec<f64> = (0..batch).map(|i| f64::from(i as u32 % 7) * 50.0).collect();
            let losses = Tensor::new(losses, CPU).unwrap().to_dtype(dtype).unwrap();
            let mut alrc = layer(Limit::Above(2.0), 60.0, 100.0); // upper bound 80
            let (clipped, gradients) = clip(&mut alrc, &losses);
            for (i, loss) in f64s(&losses).into_iter().enumerate() {
                let factor = if loss > 80.0 { 80.0 / loss } else { 1.0 };
                assert!((gradients[i] / factor - 1.0).abs() <= rounding, "{dtype:?} {batch}");
                let scale = loss.max(1.0);
                assert!((clipped[i] - factor * loss).abs() <= rounding * scale);
                if loss <= 80.0 {
                    assert_eq!((clipped[i], gradients[i]), (loss, 1.0));
                }
            }
        }
    }
}

#[test]
fn f16_losses_whose_square_overflows() {
    let mut alrc = layer(Limit::Above(2.0), 300.0, 100.0);
    let losses = Tensor::new(&[300.0_f32, 60_000.0], CPU).unwrap().to_dtype(DType::F16).unwrap();
    let (clipped, gradients) = clip(&mut alrc, &losses);
    assert!((clipped[1] / 320.0 - 1.0).abs() < 2e-3 && gradients[1] > 0.0);
    assert!(alrc.clipper().moments().unwrap().raw().1 > 9e4); // finite and right
    let mut low = layer(Limit::Below(0.0), 1e6, 0.0); // no f16 reaches the bound
    let (clipped, gradients) = clip(&mut low, &losses);
    assert!(clipped.iter().chain(&gradients).all(|x| x.is_finite()), "{clipped:?}");
}

#[test]
fn zero_the_bound_itself_and_negative_losses() {
    let mut alrc = layer(Limit::Above(1.0), -10.0, 1.0); // upper bound -9
    let losses = Tensor::new(&[0.0_f32, -9.0, -3.0, 5.0, -20.0], CPU).unwrap();
    let (clipped, gradients) = clip(&mut alrc, &losses);
    assert_eq!(gradients, [1.0, 1.0, 3.0, 0.0, 1.0]);
    assert_eq!(clipped, [0.0, -9.0, -9.0, 0.0, -20.0]);
}

#[test]
fn an_offset_keeps_the_direction_for_negative_losses() {
    let start = Moments::new(-10.0, 1.0).unwrap();
    let config =
        Config { limit: Limit::Above(1.0), epsilon: 0.0, offset: 100.0, ..Config::default() };
    let mut alrc = Alrc::new(config, start).unwrap();
    let (clipped, gradients) = clip(&mut alrc, &Tensor::new(&[5.0_f64, -20.0], CPU).unwrap());
    assert!((gradients[0] - 91.0 / 105.0).abs() < 1e-15 && gradients[1] == 1.0);
    assert!((clipped[0] + 9.0).abs() < 1e-12 && (clipped[1] + 20.0).abs() < 1e-12);
}

#[test]
fn scalars_and_non_contiguous_losses() {
    let mut alrc = layer(Limit::Above(0.0), 2.0, 0.0);
    let (clipped, gradients) = clip(&mut alrc, &Tensor::new(8.0_f32, CPU).unwrap());
    assert_eq!((clipped, gradients), (vec![2.0], vec![0.25]));

    let mut alrc = layer(Limit::Above(0.0), 2.0, 0.0);
    let base = Var::new(&[[1.0_f32, 4.0, 2.0], [8.0, 1.0, 16.0]], CPU).unwrap();
    let transposed = base.t().unwrap();
    assert!(!transposed.is_contiguous());
    let clipped = alrc.forward(&transposed).unwrap().losses;
    assert_eq!(clipped.to_vec2::<f32>().unwrap(), [[1.0, 2.0], [2.0, 1.0], [2.0, 2.0]]);
    let gradients = clipped.sum_all().unwrap().backward().unwrap();
    let expected = [[1.0, 0.5, 1.0], [0.25, 1.0, 0.125]];
    assert_eq!(gradients.get(&base).unwrap().to_vec2::<f32>().unwrap(), expected);
}

#[test]
fn other_types_and_empty_batches_are_errors() {
    let mut alrc = Alrc::default();
    let error = alrc.forward(&Tensor::new(&[1_u32, 2], CPU).unwrap()).unwrap_err();
    assert!(matches!(error, Error::LossType { dtype: DType::U32, .. }), "{error}");
    let empty = Tensor::zeros((0, 4), DType::F32, CPU).unwrap();
    let error = alrc.forward(&empty).unwrap_err().to_string();
    assert!(error.contains("no losses"), "{error}");
    assert_eq!(alrc, Alrc::default());
}

#[test]
fn frozen_moments_clip_but_do_not_learn() {
    let alrc = layer(Limit::Above(0.0), 2.0, 0.0);
    let before = alrc.clone();
    let clipped = alrc.forward_frozen(&Tensor::new(&[8.0_f32], CPU).unwrap()).unwrap();
    assert_eq!(clipped.losses.to_vec1::<f32>().unwrap(), [2.0]);
    assert_eq!(alrc, before);
}
