//! Against a direct convolution in f64: values and all gradients, over shapes of every kind.
#![allow(clippy::needless_range_loop, clippy::unwrap_used)]

use candle_conv::{Activation, conv2d};
use candle_core::{Device, Tensor, Var};
use proptest::prelude::*;

/// Reproducible numbers between -1 and 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

#[derive(Clone, Copy, Debug)]
struct Case {
    batch: usize,
    height: usize,
    width: usize,
    inputs: usize,
    outputs: usize,
    rows: usize,
    columns: usize,
    padding: usize,
    stride: usize,
    activation: Activation,
}

struct Results {
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
    db: Vec<f64>,
}

impl Case {
    fn out(&self) -> (usize, usize) {
        let side = |length, kernel| (length + 2 * self.padding - kernel) / self.stride + 1;
        (side(self.height, self.rows), side(self.width, self.columns))
    }

    /// The definition, in f64. `dy` is the gradient of the result; the activation's side is taken
    /// from `signs`, so that rounding at 0 does not matter.
    fn direct(&self, x: &[f32], w: &[f32], b: &[f32], dy: &[f32], signs: &[f64]) -> Results {
        let (out_height, out_width) = self.out();
        let slope = match self.activation {
            Activation::None => 1.0,
            Activation::Relu => 0.0,
            Activation::LeakyRelu(slope) => f64::from(slope),
        };
        let mut r = Results {
            y: Vec::new(),
            dx: vec![0.0; x.len()],
            dw: vec![0.0; w.len()],
            db: vec![0.0; b.len()],
        };
        for n in 0..self.batch {
            for (oy, ox) in (0..out_height * out_width).map(|i| (i / out_width, i % out_width)) {
                for o in 0..self.outputs {
                    let place = r.y.len();
                    let after = if signs[place] > 0.0 { 1.0 } else { slope };
                    let gradient = f64::from(dy[place]) * after;
                    let mut sum = f64::from(b[o]);
                    r.db[o] += gradient;
                    for (ky, kx) in
                        (0..self.rows * self.columns).map(|i| (i / self.columns, i % self.columns))
                    {
                        let py = (oy * self.stride + ky).wrapping_sub(self.padding);
                        let px = (ox * self.stride + kx).wrapping_sub(self.padding);
                        if py >= self.height || px >= self.width {
                            continue;
                        }
                        let pixel = ((n * self.height + py) * self.width + px) * self.inputs;
                        for i in 0..self.inputs {
                            let tap = ((o * self.inputs + i) * self.rows + ky) * self.columns + kx;
                            sum += f64::from(x[pixel + i]) * f64::from(w[tap]);
                            r.dx[pixel + i] += gradient * f64::from(w[tap]);
                            r.dw[tap] += gradient * f64::from(x[pixel + i]);
                        }
                    }
                    r.y.push(sum * after);
                }
            }
        }
        r
    }

    fn ours(&self, x: &[f32], w: &[f32], b: &[f32], dy: &[f32]) -> [Vec<f32>; 4] {
        let var = |values: &[f32], shape: &[usize]| {
            Var::from_tensor(&Tensor::from_slice(values, shape, &Device::Cpu).unwrap()).unwrap()
        };
        let x = var(x, &[self.batch, self.height, self.width, self.inputs]);
        let w = var(w, &[self.outputs, self.inputs, self.rows, self.columns]);
        let b = var(b, &[self.outputs]);
        let y = conv2d(&x, &w, &b, self.padding, self.stride, self.activation).unwrap();
        let dy = Tensor::from_slice(dy, y.shape(), &Device::Cpu).unwrap();
        let gradients = (&y * dy).unwrap().sum_all().unwrap().backward().unwrap();
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let of = |v: &Var| values(gradients.get(v).unwrap());
        [values(&y), of(&x), of(&w), of(&b)]
    }

    fn tolerance(&self) -> f64 {
        let winograd = (self.rows, self.columns, self.stride) == (3, 3, 1)
            && self.inputs.is_multiple_of(16)
            && self.outputs.is_multiple_of(16);
        if winograd { 1e-4 } else { 1e-5 }
    }

    fn check(&self, seed: u64) -> f64 {
        let (out_height, out_width) = self.out();
        let x = numbers(self.batch * self.height * self.width * self.inputs, seed);
        let taps = self.rows * self.columns;
        let w = numbers(self.outputs * self.inputs * taps, seed + 1);
        let b = numbers(self.outputs, seed + 2);
        let dy = numbers(self.batch * out_height * out_width * self.outputs, seed + 3);
        let ours = self.ours(&x, &w, &b, &dy);
        let signs: Vec<f64> = ours[0].iter().map(|&y| f64::from(y)).collect();
        let exact = self.direct(&x, &w, &b, &dy, &signs);
        let mut worst = 0.0_f64;
        for (name, ours, exact) in [
            ("y", &ours[0], &exact.y),
            ("dx", &ours[1], &exact.dx),
            ("dw", &ours[2], &exact.dw),
            ("db", &ours[3], &exact.db),
        ] {
            assert_eq!(ours.len(), exact.len());
            let largest = exact.iter().fold(1e-3_f64, |most, x| most.max(x.abs()));
            for (a, b) in ours.iter().zip(exact) {
                let off = (f64::from(*a) - b).abs() / largest;
                assert!(off <= self.tolerance(), "{name}: {a} for {b}: {off:e}, {self:?}");
                worst = worst.max(off);
            }
        }
        worst
    }
}

fn channels() -> impl Strategy<Value = usize> {
    prop_oneof![1..=130_usize, Just(16), Just(32), Just(48), Just(3)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_shape(
        batch in 0..=9_usize,
        (height, width) in (1..=13_usize, 1..=13_usize),
        (inputs, outputs) in (channels(), channels()),
        (rows, columns) in prop_oneof![(1..=7_usize, 1..=7_usize), Just((3, 3))],
        padding in 0..=4_usize,
        stride in 1..=2_usize,
        activation in prop_oneof![
            Just(Activation::None), Just(Activation::Relu), Just(Activation::LeakyRelu(0.1))],
        seed in any::<u32>(),
    ) {
        prop_assume!(height + 2 * padding >= rows && width + 2 * padding >= columns);
        let work = batch * height * width * inputs * outputs * rows * columns;
        prop_assume!(work < 20_000_000);
        let case = Case {
            batch, height, width, inputs, outputs, rows, columns, padding, stride, activation,
        };
        case.check(u64::from(seed));
    }
}

#[test]
fn the_layers_of_the_supersampling_network() {
    for (inputs, outputs, side) in [(3, 16, 5), (16, 32, 3), (32, 32, 3), (32, 16, 3), (16, 3, 5)] {
        let case = Case {
            batch: 2,
            height: 32,
            width: 32,
            inputs,
            outputs,
            rows: side,
            columns: side,
            padding: side / 2,
            stride: 1,
            activation: Activation::Relu,
        };
        println!("{inputs} -> {outputs}, {side}x{side}: {:.1e}", case.check(5));
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let case = Case {
        batch: 5,
        height: 19,
        width: 22,
        inputs: 32,
        outputs: 48,
        rows: 3,
        columns: 3,
        padding: 1,
        stride: 1,
        activation: Activation::Relu,
    };
    for case in [case, Case { inputs: 31, ..case }, Case { outputs: 7, ..case }] {
        let x = numbers(5 * 19 * 22 * case.inputs, 1);
        let w = numbers(case.outputs * case.inputs * 9, 2);
        let b = numbers(case.outputs, 3);
        let dy = numbers(5 * 19 * 22 * case.outputs, 4);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| case.ours(&x, &w, &b, &dy))
        };
        let one = with(1);
        for threads in [2, 3, 7] {
            assert!(with(threads) == one, "{threads} threads, {case:?}");
        }
    }
}

#[test]
fn other_types_take_candles_own_path() {
    let x = Var::from_tensor(
        &Tensor::new(&[[[[-1.0_f64], [2.0]], [[3.0], [0.0]]]], &Device::Cpu).unwrap(),
    );
    let x = x.unwrap();
    let w = Tensor::new(&[[[[1.0_f64]]]], &Device::Cpu).unwrap();
    let b = Tensor::new(&[0.0_f64], &Device::Cpu).unwrap();
    let y = conv2d(&x, &w, &b, 0, 1, Activation::Relu).unwrap();
    assert_eq!(y.flatten_all().unwrap().to_vec1::<f64>().unwrap(), [0.0, 2.0, 3.0, 0.0]);
    let gradients = y.sum_all().unwrap().backward().unwrap();
    let dx = gradients.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(dx, [0.0, 1.0, 1.0, 0.0]); // gradient 0 at 0
}

#[test]
fn shapes_that_do_not_fit() {
    let zeros =
        |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    let x = zeros(&[1, 4, 4, 3]);
    for (w, b, padding, stride, word) in [
        (zeros(&[2, 4, 3, 3]), zeros(&[2]), 1, 1, "input channels"),
        (zeros(&[2, 3, 3, 3]), zeros(&[3]), 1, 1, "bias"),
        (zeros(&[2, 3, 9, 3]), zeros(&[2]), 1, 1, "does not fit"),
        (zeros(&[2, 3, 3, 3]), zeros(&[2]), 1, 0, "stride"),
    ] {
        let error = conv2d(&x, &w, &b, padding, stride, Activation::None).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
