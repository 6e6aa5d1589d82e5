//! Networks of feature maps against the same of tensors.
#![allow(clippy::unwrap_used)]

mod common;

use candle_conv::{Activation, ConvConfig, FeatureMaps, Padding, conv_transpose2d, conv2d};
use candle_core::{DType, Device, Tensor, Var};
use common::{numbers, values};

fn var(shape: &[usize], seed: u64, dtype: DType) -> Var {
    let numbers = numbers(shape.iter().product(), seed);
    let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap();
    Var::from_tensor(&(tensor.to_dtype(dtype).unwrap() * 0.3).unwrap()).unwrap()
}

fn close(ours: &Tensor, expected: &Tensor, what: &str) {
    let (ours, expected) = (values(ours), values(expected));
    let largest = expected.iter().fold(1e-3_f64, |most, x| most.max(x.abs()));
    for (a, b) in ours.iter().zip(&expected) {
        assert!((a - b).abs() <= 1e-5 * largest, "{what}: {a} for {b}");
    }
}

/// A network with every kind of layer and of sharing: `a` goes to four places.
struct Network {
    x: Var,
    w: [Var; 4],
    b: Var,
    conv: ConvConfig,
    double: ConvConfig,
}

impl Network {
    fn new(channels: usize, dtype: DType) -> Self {
        let conv = ConvConfig {
            padding: 1.into(),
            activation: Activation::LeakyRelu(0.1),
            ..ConvConfig::default()
        };
        Self {
            x: var(&[2, 6, 8, channels], 1, dtype),
            w: [2, 3, 4, 5].map(|seed| var(&[channels, channels, 3, 3], seed, dtype)),
            b: var(&[channels], 6, dtype),
            conv,
            double: ConvConfig { padding: Padding { before: 0, after: 1 }, stride: 2, ..conv },
        }
    }

    fn by_maps(&self) -> [Tensor; 2] {
        let Self { w, b, conv, double, .. } = self;
        let x = FeatureMaps::new(&self.x).unwrap();
        let a = x.conv2d(&w[0], b, conv).unwrap();
        let c = a.conv2d(&w[1], b, conv).unwrap();
        let c = c.conv2d_plus(&w[2], b, conv, &a).unwrap();
        let c = c.conv2d_plus(&w[2], b, conv, &c).unwrap(); // its own residual
        let d = a.conv2d(&w[3], b, double).unwrap();
        let d = d.conv_transpose2d(&w[3], b, double).unwrap();
        let e = c.conv2d_plus(&w[0], b, conv, &d).unwrap();
        let e = e.conv2d_plus(&w[1], b, conv, &x).unwrap();
        [e.into_tensor().unwrap(), a.to_tensor().unwrap()]
    }

    fn by_tensors(&self) -> [Tensor; 2] {
        let Self { x, w, b, conv, double } = self;
        let plus = |y: candle_core::Result<Tensor>, r: &Tensor| (y.unwrap() + r).unwrap();
        let a = conv2d(x, &w[0], b, conv).unwrap();
        let c = plus(conv2d(&conv2d(&a, &w[1], b, conv).unwrap(), &w[2], b, conv), &a);
        let c = plus(conv2d(&c, &w[2], b, conv), &c);
        let d = conv2d(&a, &w[3], b, double).unwrap();
        let d = conv_transpose2d(&d, &w[3], b, double).unwrap();
        let e = plus(conv2d(&c, &w[0], b, conv), &d);
        [plus(conv2d(&e, &w[1], b, conv), x), a]
    }

    /// Compares results and gradients of both, twice, the order of consumers included.
    fn check(&self) {
        let (ours, expected) = (self.by_maps(), self.by_tensors());
        close(&ours[0], &expected[0], "e");
        close(&ours[1], &expected[1], "a");
        let loss = |[e, a]: &[Tensor; 2]| {
            let sum = (e.sqr().unwrap().sum_all().unwrap() + a.sum_all().unwrap()).unwrap();
            sum.backward().unwrap()
        };
        let expected = loss(&expected);
        for _ in 0..2 {
            let ours = loss(&ours);
            for (number, v) in self.w.iter().chain([&self.b, &self.x]).enumerate() {
                let (ours, expected) = (ours.get(v).unwrap(), expected.get(v).unwrap());
                close(ours, expected, &format!("variable {number}"));
            }
        }
    }
}

#[test]
fn gradients_of_shared_maps_add_up() {
    for channels in [16, 5] {
        Network::new(channels, DType::F32).check();
        Network::new(channels, DType::F64).check();
    }
}

#[test]
fn a_loss_of_a_part_of_the_network() {
    let network = Network::new(16, DType::F32);
    let [_, ours] = network.by_maps();
    let [_, expected] = network.by_tensors();
    let (ours, expected) =
        (ours.sum_all().unwrap().backward(), expected.sum_all().unwrap().backward());
    let (ours, expected) = (ours.unwrap(), expected.unwrap());
    close(ours.get(&network.x).unwrap(), expected.get(&network.x).unwrap(), "x");
    assert!(ours.get(&network.w[1]).is_none());
}

#[test]
fn pictures_that_are_no_variable_get_no_gradient() {
    let network = Network::new(16, DType::F32);
    let x = network.x.as_tensor().copy().unwrap().detach();
    let maps = FeatureMaps::new(&x).unwrap();
    let y = maps.conv2d(&network.w[0], &network.b, &network.conv).unwrap();
    let gradients = y.into_tensor().unwrap().sum_all().unwrap().backward().unwrap();
    assert!(gradients.get(&x).is_none());
    assert!(gradients.get(&network.w[0]).is_some());
}

#[test]
fn a_residual_of_another_shape() {
    let network = Network::new(5, DType::F32);
    let x = FeatureMaps::new(&network.x).unwrap();
    let small = x.conv2d(&network.w[0], &network.b, &network.double).unwrap();
    let error = x.conv2d_plus(&network.w[0], &network.b, &network.conv, &small);
    let error = error.err().unwrap().to_string();
    assert!(error.contains("(2, 3, 4, 5)") && error.contains("(2, 6, 8, 5)"), "{error}");
}
