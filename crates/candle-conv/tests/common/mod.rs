//! Convolutions by their definition, in f64, to compare with.
#![allow(dead_code, clippy::needless_range_loop)]

use candle_conv::{Activation, ConvConfig};
use candle_core::{DType, Device, Tensor, Var};

/// Reproducible numbers between -1 and 1.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
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

/// A convolution, or the transpose of one.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub transposed: bool,
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub rows: usize,
    pub columns: usize,
    pub config: ConvConfig,
}

/// Values and gradients.
pub struct Results {
    pub y: Vec<f64>,
    pub dx: Vec<f64>,
    pub dw: Vec<f64>,
    pub db: Vec<f64>,
}

impl Case {
    /// A convolution that keeps the size of 32x32 pictures.
    pub fn same(inputs: usize, outputs: usize, side: usize) -> Self {
        let activation = Activation::Relu;
        let config = ConvConfig { padding: (side / 2).into(), activation, ..ConvConfig::default() };
        let (rows, columns, height, width) = (side, side, 32, 32);
        Self { transposed: false, batch: 2, height, width, inputs, outputs, rows, columns, config }
    }

    /// Height and width of the result; `None` if the kernel does not fit.
    pub fn out(&self) -> Option<(usize, usize)> {
        let c = &self.config;
        let padding = c.padding.before + c.padding.after;
        let side = |length: usize, kernel: usize| {
            let outline = c.dilation * (kernel - 1) + 1;
            if self.transposed {
                ((length - 1) * c.stride + outline).checked_sub(padding)
            } else {
                Some((length + padding).checked_sub(outline)? / c.stride + 1)
            }
        };
        Some((side(self.height, self.rows)?, side(self.width, self.columns)?))
    }

    pub fn y_len(&self) -> usize {
        let (height, width) = self.out().unwrap();
        self.batch * height * width * self.outputs
    }

    pub fn x_shape(&self) -> [usize; 4] {
        [self.batch, self.height, self.width, self.inputs]
    }

    pub fn weight_shape(&self) -> [usize; 4] {
        let Self { inputs, outputs, rows, columns, .. } = *self;
        if self.transposed {
            [inputs, outputs, rows, columns]
        } else {
            [outputs, inputs / self.config.groups, rows, columns]
        }
    }

    /// The definition. `dy` is the gradient of the result; the activation's side is taken from
    /// `signs`, so that rounding at 0 does not matter.
    pub fn direct(&self, x: &[f32], w: &[f32], b: &[f32], dy: &[f32], signs: &[f64]) -> Results {
        let c = &self.config;
        let (out_height, out_width) = self.out().unwrap();
        let slope = match c.activation {
            Activation::None => 1.0,
            Activation::Relu => 0.0,
            Activation::LeakyRelu(slope) => f64::from(slope),
        };
        let after: Vec<f64> = signs.iter().map(|&s| if s > 0.0 { 1.0 } else { slope }).collect();
        let mut r = Results {
            y: (0..self.y_len()).map(|i| f64::from(b[i % self.outputs])).collect(),
            dx: vec![0.0; x.len()],
            dw: vec![0.0; w.len()],
            db: vec![0.0; b.len()],
        };
        let gradient: Vec<f64> = dy.iter().zip(&after).map(|(g, a)| f64::from(*g) * a).collect();
        for (i, gradient) in gradient.iter().enumerate() {
            r.db[i % self.outputs] += gradient;
        }
        // The small side is that of the pictures of a transposed convolution, else of the results.
        let ((small_h, small_w), (large_h, large_w)) = if self.transposed {
            ((self.height, self.width), (out_height, out_width))
        } else {
            ((out_height, out_width), (self.height, self.width))
        };
        let (in_group, out_group) = (self.inputs / c.groups, self.outputs / c.groups);
        for n in 0..self.batch {
            for (sy, sx) in (0..small_h * small_w).map(|i| (i / small_w, i % small_w)) {
                for (ky, kx) in
                    (0..self.rows * self.columns).map(|i| (i / self.columns, i % self.columns))
                {
                    let ly = (sy * c.stride + ky * c.dilation).wrapping_sub(c.padding.before);
                    let lx = (sx * c.stride + kx * c.dilation).wrapping_sub(c.padding.before);
                    if ly >= large_h || lx >= large_w {
                        continue;
                    }
                    let small = (n * small_h + sy) * small_w + sx;
                    let large = (n * large_h + ly) * large_w + lx;
                    let (from, to) = if self.transposed { (small, large) } else { (large, small) };
                    for o in 0..self.outputs {
                        let first = o / out_group * in_group;
                        for i in first..first + in_group {
                            let (a, b, length) = if self.transposed {
                                (i, o, self.outputs)
                            } else {
                                (o, i - first, in_group)
                            };
                            let tap = ((a * length + b) * self.rows + ky) * self.columns + kx;
                            let (x_at, y_at) = (from * self.inputs + i, to * self.outputs + o);
                            r.y[y_at] += f64::from(x[x_at]) * f64::from(w[tap]);
                            r.dx[x_at] += gradient[y_at] * f64::from(w[tap]);
                            r.dw[tap] += gradient[y_at] * f64::from(x[x_at]);
                        }
                    }
                }
            }
        }
        r.y.iter_mut().zip(&after).for_each(|(y, after)| *y *= after);
        r
    }

    /// What the crate gives for numbers of a type: the result and all gradients.
    pub fn ours(&self, x: &[f32], w: &[f32], b: &[f32], dy: &[f32], dtype: DType) -> [Vec<f64>; 4] {
        let tensor = |values: &[f32], shape: &[usize]| {
            Tensor::from_slice(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
        };
        let var =
            |values: &[f32], shape: &[usize]| Var::from_tensor(&tensor(values, shape)).unwrap();
        let x = var(x, &self.x_shape());
        let w = var(w, &self.weight_shape());
        let b = var(b, &[self.outputs]);
        let apply =
            if self.transposed { candle_conv::conv_transpose2d } else { candle_conv::conv2d };
        let y = apply(&x, &w, &b, &self.config).unwrap();
        let dy = tensor(dy, y.dims());
        let gradients = (&y * dy).unwrap().sum_all().unwrap().backward().unwrap();
        let of = |v: &Var| values(gradients.get(v).unwrap());
        [values(&y), of(&x), of(&w), of(&b)]
    }

    /// Pictures, weights, bias, gradient of the result.
    pub fn draw(&self, seed: u64) -> [Vec<f32>; 4] {
        let count = |shape: [usize; 4]| shape.iter().product();
        [
            numbers(count(self.x_shape()), seed),
            numbers(count(self.weight_shape()), seed + 1),
            numbers(self.outputs, seed + 2),
            numbers(self.y_len(), seed + 3),
        ]
    }

    /// Compares with the definition; gives the largest error over the largest entry.
    pub fn check(&self, seed: u64, dtype: DType) -> f64 {
        let [x, w, b, dy] = self.draw(seed);
        let ours = self.ours(&x, &w, &b, &dy, dtype);
        let exact = self.direct(&x, &w, &b, &dy, &ours[0]);
        let winograd = (self.rows, self.columns, self.config.stride) == (3, 3, 1)
            && self.inputs.is_multiple_of(16)
            && self.outputs.is_multiple_of(16);
        let tolerance = if winograd { 1e-4 } else { 1e-5 };
        let mut worst = 0.0_f64;
        for (name, ours, exact) in [
            ("y", &ours[0], &exact.y),
            ("dx", &ours[1], &exact.dx),
            ("dw", &ours[2], &exact.dw),
            ("db", &ours[3], &exact.db),
        ] {
            assert_eq!(ours.len(), exact.len(), "{name}, {self:?}");
            let largest = exact.iter().fold(1e-3_f64, |most, x| most.max(x.abs()));
            for (a, b) in ours.iter().zip(exact) {
                let off = (a - b).abs() / largest;
                assert!(off <= tolerance, "{name}: {a} for {b}: {off:e}, {self:?}");
                worst = worst.max(off);
            }
        }
        worst
    }
}

pub fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}
