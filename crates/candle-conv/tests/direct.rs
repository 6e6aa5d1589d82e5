//! Against the definition in f64: values and all gradients, over shapes of every kind.
#![allow(clippy::unwrap_used)]

mod common;

use candle_conv::{Activation, ConvConfig, Padding, conv_transpose2d, conv2d};
use candle_core::{DType, Device, Tensor};
use common::Case;
use proptest::prelude::*;

fn channels() -> impl Strategy<Value = usize> {
    prop_oneof![1..=130_usize, Just(16), Just(32), Just(48), Just(3)]
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::None), Just(Activation::Relu), Just(Activation::LeakyRelu(0.1))]
}

/// Shapes without dilation and groups, small enough to compare with the definition.
fn cases(transposed: bool) -> impl Strategy<Value = Case> {
    let config = ((0..=4_usize, 0..=4_usize), 1..=2_usize, activation()).prop_map(
        |((before, after), stride, activation)| ConvConfig {
            padding: Padding { before, after },
            stride,
            activation,
            ..ConvConfig::default()
        },
    );
    let kernel = prop_oneof![(1..=7_usize, 1..=7_usize), Just((3, 3))];
    let sizes = (0..=9_usize, 1..=13_usize, 1..=13_usize);
    (sizes, channels(), channels(), kernel, config)
        .prop_map(move |((batch, height, width), inputs, outputs, (rows, columns), config)| Case {
            transposed,
            batch,
            height,
            width,
            inputs,
            outputs,
            rows,
            columns,
            config,
        })
        .prop_filter("fits, and is not large", |case| {
            let places = case.height * case.width * case.rows * case.columns;
            case.out().is_some() && case.batch * places * case.inputs * case.outputs < 20_000_000
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn convolutions(case in cases(false), seed in any::<u32>()) {
        case.check(u64::from(seed), DType::F32);
    }

    #[test]
    fn transposed_convolutions(case in cases(true), seed in any::<u32>()) {
        case.check(u64::from(seed), DType::F32);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Another type, dilation and groups; among them the strides on pictures that are not square
    /// for which Candle's own gradient fails.
    #[test]
    fn candles_own_path(
        case in cases(false),
        (dilation, groups) in (1..=3_usize, 1..=3_usize),
        dtype in prop_oneof![Just(DType::F32), Just(DType::F64)],
        seed in any::<u32>(),
    ) {
        let (inputs, outputs) = (case.inputs % 9 + 1, case.outputs % 9 + 1);
        let config = ConvConfig { dilation, groups, ..case.config };
        let case = Case {
            batch: case.batch % 3 + 1, inputs: groups * inputs, outputs: groups * outputs, config,
            ..case
        };
        prop_assume!(case.out().is_some());
        case.check(u64::from(seed), dtype);
    }

    #[test]
    fn candles_own_path_transposed(
        case in cases(true), dilation in 1..=3_usize, seed in any::<u32>(),
    ) {
        let (inputs, outputs) = (case.inputs % 9 + 1, case.outputs % 9 + 1);
        let config = ConvConfig { dilation, ..case.config };
        let case = Case { batch: case.batch % 3 + 1, inputs, outputs, config, ..case };
        prop_assume!(case.out().is_some_and(|(height, width)| height * width > 0));
        case.check(u64::from(seed), DType::F64);
    }
}

#[test]
fn the_layers_of_the_supersampling_network() {
    for (inputs, outputs, side) in [(3, 16, 5), (16, 32, 3), (32, 32, 3), (32, 16, 3), (16, 3, 5)] {
        let error = Case::same(inputs, outputs, side).check(5, DType::F32);
        println!("{inputs} -> {outputs}, {side}x{side}: {error:.1e}");
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let case = Case { batch: 5, height: 19, width: 22, ..Case::same(32, 48, 3) };
    let transposed = Case { transposed: true, ..case };
    for case in [case, Case { inputs: 31, ..case }, Case { outputs: 7, ..case }, transposed] {
        let [x, w, b, dy] = case.draw(1);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| case.ours(&x, &w, &b, &dy, DType::F32))
        };
        let one = with(1);
        for threads in [2, 3, 7] {
            assert!(with(threads) == one, "{threads} threads, {case:?}");
        }
    }
}

#[test]
fn the_gradient_at_zero_and_values_that_are_not_finite() {
    for dtype in [DType::F32, DType::F64] {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let x = Tensor::new(&[-1.0_f32, 2.0, 0.0, nan, inf, -inf], &Device::Cpu).unwrap();
        let x = x.reshape((1, 1, 6, 1)).unwrap().to_dtype(dtype).unwrap();
        let x = candle_core::Var::from_tensor(&x).unwrap();
        let w = Tensor::ones((1, 1, 1, 1), dtype, &Device::Cpu).unwrap();
        let b = Tensor::zeros(1, dtype, &Device::Cpu).unwrap();
        let config = ConvConfig { activation: Activation::Relu, ..ConvConfig::default() };
        let y = conv2d(&x, &w, &b, &config).unwrap();
        let values = common::values(&y);
        assert_eq!(values[..3], [0.0, 2.0, 0.0]);
        assert!(values[3].is_nan() && values[4] == f64::INFINITY, "{values:?}");
        assert_eq!(values[5], 0.0, "{dtype:?}");
        let gradients = y.sum_all().unwrap().backward().unwrap();
        let dx = common::values(gradients.get(&x).unwrap());
        assert_eq!(dx, [0.0, 1.0, 0.0, 0.0, 1.0, 0.0], "{dtype:?}"); // 0 at 0
    }
}

#[test]
fn shapes_that_do_not_fit() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let x = zeros(&[1, 4, 4, 3]);
    let plain = ConvConfig { padding: 1.into(), ..ConvConfig::default() };
    for (w, b, config, word) in [
        (zeros(&[2, 4, 3, 3]), zeros(&[2]), plain, "input channels"),
        (zeros(&[2, 3, 3, 3]), zeros(&[3]), plain, "bias"),
        (zeros(&[2, 3, 9, 3]), zeros(&[2]), plain, "does not fit"),
        (zeros(&[0, 3, 3, 3]), zeros(&[0]), plain, "channels"),
        (zeros(&[2, 3, 3, 3]), zeros(&[2]), ConvConfig { stride: 0, ..plain }, "stride"),
        (zeros(&[2, 3, 3, 3]), zeros(&[2]), ConvConfig { dilation: 0, ..plain }, "dilation"),
        (zeros(&[2, 3, 3, 3]), zeros(&[2]), ConvConfig { groups: 3, ..plain }, "groups"),
    ] {
        let error = conv2d(&x, &w, &b, &config).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let wide = ConvConfig { padding: 9.into(), ..plain };
    for (w, b, config, word) in [
        (zeros(&[4, 2, 3, 3]), zeros(&[2]), plain, "input channels"),
        (zeros(&[3, 2, 3, 3]), zeros(&[3]), plain, "bias"),
        (zeros(&[3, 2, 3, 3]), zeros(&[2]), wide, "cut off"),
        (zeros(&[1, 3, 3, 3]), zeros(&[3]), ConvConfig { groups: 3, ..plain }, "groups"),
    ] {
        let error = conv_transpose2d(&x, &w, &b, &config).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
