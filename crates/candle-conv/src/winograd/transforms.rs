//! The one-dimensional transforms of F(4x4, 3x3), for the points 0, 1, -1, 2, -2 and infinity, on
//! 16 channels at a time; and their reverses, by the transposed matrices.

use super::PLANES;
use crate::shared::Shared;

/// Channels handled together.
pub(crate) const LANES: usize = 16;
/// A number for each of them.
pub(crate) type Lanes = [f32; LANES];

#[inline(always)]
pub(crate) fn load(from: &[f32], at: usize) -> Lanes {
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&from[at..at + LANES]);
    lanes
}

#[inline(always)]
pub(crate) fn store(to: &mut [f32], at: usize, lanes: &Lanes) {
    to[at..at + LANES].copy_from_slice(lanes);
}

/// The numbers at one place of all planes, `plane` apart.
#[inline(always)]
pub(crate) fn load_planes(from: &[f32], plane: usize, at: usize) -> [[Lanes; 6]; 6] {
    let mut planes = [[[0.0; LANES]; 6]; 6];
    for p in 0..PLANES {
        planes[p / 6][p % 6] = load(from, p * plane + at);
    }
    planes
}

/// Writes to one place of all planes, `plane` apart.
///
/// # Safety
/// Nothing else may use that place at the same time.
#[inline(always)]
pub(crate) unsafe fn store_planes(
    to: &Shared<'_>,
    plane: usize,
    at: usize,
    planes: &[[Lanes; 6]; 6],
) {
    for p in 0..PLANES {
        // SAFETY: as the caller promises; the planes do not overlap.
        let to = unsafe { to.part(p * plane + at, LANES) };
        store(to, 0, &planes[p / 6][p % 6]);
    }
}

/// Applies a transform to the columns of a square, then to its rows.
#[inline(always)]
pub(crate) fn square<const N: usize, const M: usize>(
    numbers: &[[Lanes; N]; N],
    transform: impl Fn([f32; N]) -> [f32; M],
) -> [[Lanes; M]; M] {
    let mut half = [[[0.0; LANES]; N]; M];
    for column in 0..N {
        for lane in 0..LANES {
            let done = transform(std::array::from_fn(|row| numbers[row][column][lane]));
            for row in 0..M {
                half[row][column][lane] = done[row];
            }
        }
    }
    let mut out = [[[0.0; LANES]; M]; M];
    for row in 0..M {
        for lane in 0..LANES {
            let done = transform(std::array::from_fn(|column| half[row][column][lane]));
            for column in 0..M {
                out[row][column][lane] = done[column];
            }
        }
    }
    out
}

/// Input pixels to planes.
#[inline(always)]
pub(crate) fn input(d: [f32; 6]) -> [f32; 6] {
    let (a, b) = (d[4] - 4.0 * d[2], d[3] - 4.0 * d[1]);
    let (c, e) = (d[4] - d[2], 2.0 * (d[3] - d[1]));
    let first = 4.0 * d[0] - 5.0 * d[2] + d[4];
    let last = 4.0 * d[1] - 5.0 * d[3] + d[5];
    [first, a + b, a - b, c + e, c - e, last]
}

/// The reverse of [`input`].
#[inline(always)]
pub(crate) fn input_reversed(v: [f32; 6]) -> [f32; 6] {
    let (a, b) = (v[1] + v[2], v[1] - v[2]);
    let (c, e) = (v[3] + v[4], v[3] - v[4]);
    [
        4.0 * v[0],
        4.0 * (v[5] - b) - 2.0 * e,
        -5.0 * v[0] - 4.0 * a - c,
        b + 2.0 * e - 5.0 * v[5],
        v[0] + a + c,
        v[5],
    ]
}

/// Planes of products to result pixels.
#[inline(always)]
pub(crate) fn output(m: [f32; 6]) -> [f32; 4] {
    let (a, b) = (m[1] + m[2], m[1] - m[2]);
    let (c, e) = (m[3] + m[4], m[3] - m[4]);
    [m[0] + a + c, b + 2.0 * e, a + 4.0 * c, b + 8.0 * e + m[5]]
}

/// The reverse of [`output`].
#[inline(always)]
pub(crate) fn output_reversed(y: [f32; 4]) -> [f32; 6] {
    let (a, b) = (y[0] + y[2], y[1] + y[3]);
    let (c, e) = (y[0] + 4.0 * y[2], 2.0 * y[1] + 8.0 * y[3]);
    [y[0], a + b, a - b, c + e, c - e, y[3]]
}

/// Kernel taps to planes.
#[inline(always)]
pub(crate) fn kernel(g: [f32; 3]) -> [f32; 6] {
    let a = g[0] + g[2];
    let c = g[0] * (1.0 / 24.0) + g[2] * (1.0 / 6.0);
    let e = g[1] * (1.0 / 12.0);
    [0.25 * g[0], (a + g[1]) * (-1.0 / 6.0), (a - g[1]) * (-1.0 / 6.0), c + e, c - e, g[2]]
}

/// The reverse of [`kernel`].
#[inline(always)]
pub(crate) fn kernel_reversed(u: [f32; 6]) -> [f32; 3] {
    let (a, b) = (u[1] + u[2], u[2] - u[1]);
    let (c, e) = (u[3] + u[4], u[3] - u[4]);
    [
        0.25 * u[0] - a * (1.0 / 6.0) + c * (1.0 / 24.0),
        b * (1.0 / 6.0) + e * (1.0 / 12.0),
        (c - a) * (1.0 / 6.0) + u[5],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `F(4, 3)` on its own: four results of a kernel with three taps, from six numbers.
    #[test]
    fn one_dimension() {
        let d = [1.0, -2.0, 3.0, 0.5, -1.0, 4.0];
        let g = [2.0, -1.0, 0.5];
        let (v, u) = (input(d), kernel(g));
        let y = output(std::array::from_fn(|p| v[p] * u[p]));
        for (i, y) in y.into_iter().enumerate() {
            let direct: f32 = (0..3).map(|k| d[i + k] * g[k]).sum();
            assert!((y - direct).abs() < 1e-5, "{y} for {direct}");
        }
    }

    /// A transform and its reverse are transposes: `<A x, y> = <x, A^T y>`.
    #[test]
    fn reverses_are_transposes() {
        fn dot(a: &[f32], b: &[f32]) -> f32 {
            a.iter().zip(b).map(|(a, b)| a * b).sum()
        }
        let (six, other) = ([1.0, 2.0, -1.0, 0.5, 3.0, -2.0], [0.5, 1.0, 1.5, -2.0, 1.0, 4.0]);
        let (four, three) = ([1.0, -1.0, 2.0, 0.5], [3.0, 1.0, -2.0]);
        assert!((dot(&input(six), &other) - dot(&six, &input_reversed(other))).abs() < 1e-4);
        assert!((dot(&output(six), &four) - dot(&six, &output_reversed(four))).abs() < 1e-4);
        assert!((dot(&kernel(three), &six) - dot(&three, &kernel_reversed(six))).abs() < 1e-4);
    }

    #[test]
    fn planes_are_stored_where_they_are_loaded() {
        let mut numbers = vec![0.0; PLANES * 32];
        let planes = std::array::from_fn(|row| {
            std::array::from_fn(|column| [(6 * row + column) as f32; LANES])
        });
        // SAFETY: nothing else uses the numbers.
        unsafe { store_planes(&Shared::new(&mut numbers), 32, 16, &planes) };
        assert_eq!(load_planes(&numbers, 32, 16), planes);
        assert_eq!(load_planes(&numbers, 32, 0), [[[0.0; LANES]; 6]; 6]);
    }
}
