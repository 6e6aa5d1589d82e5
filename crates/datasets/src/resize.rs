//! Bilinear resizing with aligned corners.

/// Resizes square planes from side `from` to side `to`; see [`resize_to`].
///
/// # Panics
/// If a side is 0 or `planes` is not a whole number of planes.
pub fn resize(planes: &[f32], from: usize, to: usize) -> Vec<f32> {
    resize_to(planes, (from, from), (to, to))
}

/// Resizes planes from one height and width to another: the corner pixels keep their places, the
/// others are interpolated linearly along rows and columns, without antialiasing. `planes` holds
/// any number of them, one after the other, each row by row.
///
/// # Panics
/// If a side is 0 or `planes` is not a whole number of planes.
pub fn resize_to(planes: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
    assert!(from.0 * from.1 * to.0 * to.1 > 0, "sides of at least one pixel");
    assert_eq!(planes.len() % (from.0 * from.1), 0, "whole planes");
    let places = |from, to| (0..to).map(|i| place(i, from, to)).collect::<Vec<_>>();
    let (rows, columns) = (places(from.0, to.0), places(from.1, to.1));
    let mut out = Vec::with_capacity(planes.len() / (from.0 * from.1) * to.0 * to.1);
    for plane in planes.chunks_exact(from.0 * from.1) {
        for &(top, bottom, down) in &rows {
            let (top, bottom) = (&plane[top * from.1..], &plane[bottom * from.1..]);
            for &(left, right, along) in &columns {
                let above = top[left] + (top[right] - top[left]) * along;
                let below = bottom[left] + (bottom[right] - bottom[left]) * along;
                out.push(above + (below - above) * down);
            }
        }
    }
    out
}

/// The two source pixels of target pixel `i`, and how far towards the second it lies.
fn place(i: usize, from: usize, to: usize) -> (usize, usize, f32) {
    if to == 1 {
        return (0, 0, 0.0);
    }
    // Exact: whole numbers over one denominator.
    let (position, denominator) = (i * (from - 1), to - 1);
    let first = position / denominator;
    let along = (position % denominator) as f32 / denominator as f32;
    (first, (first + 1).min(from - 1), along)
}
