//! Matrix products of row-major slices, on the calling thread.

use gemm::Parallelism;

/// A matrix in a slice: element `(i, j)` at `i * row + j * column`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub column: usize,
}

impl<'a> View<'a> {
    /// Row-major with rows of `columns` numbers.
    pub fn rows(data: &'a [f32], columns: usize) -> Self {
        Self { data, row: columns, column: 1 }
    }

    /// The transpose of a row-major matrix with rows of `columns` numbers.
    pub fn transposed(data: &'a [f32], columns: usize) -> Self {
        Self { data, row: 1, column: columns }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row + (columns - 1) * self.column < self.data.len()
    }
}

/// `out = a * b`, or `out += a * b`, for `a` of `m` rows and `k` columns and `b` of `k` rows and
/// `n` columns. `out` is row-major with rows of `n` numbers.
///
/// # Panics
/// If a slice is too short.
pub(crate) fn product(
    out: &mut [f32],
    add: bool,
    a: View<'_>,
    b: View<'_>,
    (m, k, n): (usize, usize, usize),
) {
    assert!(a.holds(m, k) && b.holds(k, n) && m * n <= out.len(), "matrices within their slices");
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !add {
            out[..m * n].fill(0.0);
        }
        return;
    }
    // SAFETY: every element that the product reads or writes lies within its slice: asserted above
    // for the last one, and strides are not negative. `out` is not aliased: it is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
