//! Weights with their axes in another order.

/// The numbers of a row-major array of shape `shape` as one whose axis `k` is the old axis
/// `axes[k]`.
pub(crate) fn permuted(from: &[f32], shape: [usize; 3], axes: [usize; 3]) -> Vec<f32> {
    let strides = [shape[1] * shape[2], shape[2], 1];
    let [a, b, c] = axes.map(|axis| (shape[axis], strides[axis]));
    let mut out = Vec::with_capacity(from.len());
    for i in 0..a.0 {
        for j in 0..b.0 {
            out.extend((0..c.0).map(|k| from[i * a.1 + j * b.1 + k * c.1]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::permuted;

    #[test]
    fn there_and_back() {
        let numbers: Vec<f32> = (0..24_u8).map(f32::from).collect();
        let turned = permuted(&numbers, [2, 3, 4], [1, 2, 0]);
        assert_eq!(turned[..4], [0.0, 12.0, 1.0, 13.0]); // shape [3, 4, 2]
        assert_eq!(permuted(&turned, [3, 4, 2], [2, 0, 1]), numbers);
    }
}
