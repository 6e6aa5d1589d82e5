//! Weight-normalised kernels: `gain * V / ||V||` (Salimans, Kingma, "Weight normalization", 2016).

use candle_core::{
    CpuStorage, CustomOp2, DType, Device, Layout, Result, Shape, Storage, Tensor, bail,
};
use rayon::prelude::*;

/// The kernel of directions `v` and a gain for each output channel.
///
/// - A convolution's `v` is `[outputs, inputs, rows, columns]`; the norm is over all but the first.
/// - A transposed convolution's is `[inputs, outputs, rows, columns]`; the norm is over all but the
///   first axis here too, which is that of the inputs: the published code's slip, kept.
///
/// # Errors
/// The shapes do not fit.
pub fn weight_norm(v: &Tensor, gain: &Tensor, transposed: bool) -> Result<Tensor> {
    let (first, second, ..) = v.dims4()?;
    let outputs = if transposed { second } else { first };
    if gain.dims() != [outputs] {
        bail!("weight norm: gain {:?} for {:?}; expected [{outputs}]", gain.shape(), v.shape());
    }
    if v.dtype() == DType::F32 && matches!(v.device(), Device::Cpu) {
        return v.contiguous()?.apply_op2(&gain.contiguous()?, WeightNorm { transposed });
    }
    let norm = v.sqr()?.sum_keepdim((1, 2, 3))?.sqrt()?;
    let gain = gain.reshape(if transposed { (1, outputs, 1, 1) } else { (outputs, 1, 1, 1) })?;
    v.broadcast_div(&norm)?.broadcast_mul(&gain)
}

/// In one pass over the numbers, and one back.
struct WeightNorm {
    transposed: bool,
}

impl WeightNorm {
    /// The gain of a number in row `row`, at place `place` of it.
    fn gain(&self, gain: &[f32], row: usize, place: usize, taps: usize) -> f32 {
        gain[if self.transposed { place / taps } else { row }]
    }
}

/// Sums in 16 lanes: fast, and the same for all numbers of threads.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0_f32; 16];
    let (a_chunks, b_chunks) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..16 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + f64::from(rest)
}

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&all[start..end]),
        _ => bail!("weight norm: expected contiguous f32 numbers"),
    }
}

fn on_cpu<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => numbers(storage, layout),
        _ => bail!("weight norm: expected numbers on the CPU"),
    }
}

impl CustomOp2 for WeightNorm {
    fn name(&self) -> &'static str {
        "weight-norm"
    }

    fn cpu_fwd(
        &self,
        v: &CpuStorage,
        v_layout: &Layout,
        gain: &CpuStorage,
        gain_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = v_layout.shape().clone();
        let (v, gain) = (numbers(v, v_layout)?, numbers(gain, gain_layout)?);
        let (rows, _, height, width) = shape.dims4()?;
        let (length, taps) = (v.len() / rows.max(1), height * width);
        let mut kernel = vec![0.0; v.len()];
        let work = kernel.par_chunks_mut(length.max(1)).zip(v.par_chunks(length.max(1)));
        work.enumerate().for_each(|(row, (kernel, v))| {
            let scale = dot(v, v).sqrt().recip() as f32;
            for (tap, (kernel, v)) in
                kernel.chunks_exact_mut(taps).zip(v.chunks_exact(taps)).enumerate()
            {
                let scale = scale * self.gain(gain, row, tap * taps, taps);
                kernel.iter_mut().zip(v).for_each(|(kernel, v)| *kernel = scale * v);
            }
        });
        Ok((CpuStorage::F32(kernel), shape))
    }

    /// With `G = gain * dK`: `dV = G / ||V|| - V (G . V) / ||V||^3`, row by row, and the gain's
    /// gradient is the sum of `dK * V / ||V||` over its channel.
    fn bwd(
        &self,
        v: &Tensor,
        gain: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, _, height, width) = v.dims4()?;
        let taps = height * width;
        let (v_storage, gain_storage) = (v.storage_and_layout(), gain.storage_and_layout());
        let v_values = on_cpu(&v_storage.0, v_storage.1)?;
        let gains = on_cpu(&gain_storage.0, gain_storage.1)?;
        let mut dv = gradient.flatten_all()?.to_vec1::<f32>()?; // becomes the result row by row
        let length = (v_values.len() / rows.max(1)).max(1);
        let parts: Vec<Vec<f64>> = dv
            .par_chunks_mut(length)
            .zip(v_values.par_chunks(length))
            .enumerate()
            .map(|(row, (d, v))| {
                let norm = dot(v, v).sqrt();
                // For each channel of the row: the sum of dK * V.
                let sums: Vec<f64> = d
                    .chunks_exact(taps)
                    .zip(v.chunks_exact(taps))
                    .map(|(d, v)| dot(d, v))
                    .collect();
                let along: f64 = sums
                    .iter()
                    .enumerate()
                    .map(|(place, sum)| f64::from(self.gain(gains, row, place * taps, taps)) * sum)
                    .sum();
                let back = (along / (norm * norm * norm)) as f32;
                for (place, (d, v)) in
                    d.chunks_exact_mut(taps).zip(v.chunks_exact(taps)).enumerate()
                {
                    let scale = self.gain(gains, row, place * taps, taps) / norm as f32;
                    d.iter_mut().zip(v).for_each(|(d, v)| *d = scale * *d - back * v);
                }
                sums.into_iter().map(|sum| sum / norm).collect()
            })
            .collect();
        let mut dgain = vec![0.0_f64; gains.len()];
        for (row, sums) in parts.iter().enumerate() {
            for (place, sum) in sums.iter().enumerate() {
                dgain[if self.transposed { place } else { row }] += sum;
            }
        }
        let dgain: Vec<f32> = dgain.into_iter().map(|sum| sum as f32).collect();
        let dv = Tensor::from_vec(dv, v.shape(), &Device::Cpu)?;
        Ok((Some(dv), Some(Tensor::from_vec(dgain, gain.shape(), &Device::Cpu)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    /// Against Candle's own operations in f64.
    #[test]
    fn values_and_gradients() {
        let wide = |shape: &[usize], step: f64| {
            let count: usize = shape.iter().product();
            let numbers: Vec<f64> = (0..count).map(|i| (i as f64 * step).sin()).collect();
            Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
        };
        for transposed in [false, true] {
            let (v, k) = (wide(&[4, 3, 3, 3], 0.7), wide(&[4, 3, 3, 3], 1.3));
            let gain = wide(&[if transposed { 3 } else { 4 }], 0.9);
            let run = |dtype| {
                let var = |t: &Tensor| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap();
                let (v, gain) = (var(&v), var(&gain));
                let kernel = weight_norm(&v, &gain, transposed).unwrap();
                let loss = (&kernel * k.to_dtype(dtype).unwrap()).unwrap().sum_all().unwrap();
                let gradients = loss.backward().unwrap();
                [&kernel, gradients.get(&v).unwrap(), gradients.get(&gain).unwrap()].map(|t| {
                    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
                })
            };
            for (ours, expected) in run(DType::F32).iter().zip(run(DType::F64)) {
                for (a, b) in ours.iter().zip(expected) {
                    assert!((a - b).abs() < 1e-6, "{a} for {b}");
                }
            }
        }
    }
}
