//! Spiral scans.

/// Points along the spiral.
const POINTS: usize = 10_000;

/// The mask of a spiral scan that visits about `coverage` of a square's pixels, in sixteenths: 0
/// where it does not pass, 16 where it stays longest; row by row.
///
/// An Archimedean spiral around the centre that reaches the corners, drawn with straight lines and
/// blurred by [1/4, 1/2, 1/4] along both axes (Ede, Beanland, "Partial Scanning Transmission Electron
/// Microscopy with Deep Learning", Sci. Rep. 10, 2020). The coverage is nominal: the mean of the mask
/// is 1/22.1 for 1/20 at side 512.
///
/// # Panics
/// If the side is not 2 to 32768, or the coverage not above 0 and at most 1.
///
/// # Example
/// ```
/// let mask = datasets::spiral_mask(64, 1.0 / 20.0);
/// assert_eq!(mask.len(), 64 * 64);
/// assert!(mask.iter().all(|&sixteenths| sixteenths <= 16));
/// ```
pub fn spiral_mask(side: usize, coverage: f64) -> Vec<u8> {
    assert!((2..=1 << 15).contains(&side), "side {side}: expected 2 to 32768");
    assert!(0.0 < coverage && coverage <= 1.0, "coverage {coverage}: expected above 0, at most 1");
    let size = (std::f64::consts::SQRT_2 * side as f64).ceil() as usize;
    let radius = size as f64 / 2.0;
    let k = 1.0 / (2.0 * std::f64::consts::PI * coverage);
    let end = radius / k;
    let points: Vec<(i64, i64)> = (0..POINTS)
        .map(|i| {
            let angle = i as f64 * end / POINTS as f64;
            let r = k * angle;
            // Of the platform's library functions: they may differ in the last place, which would
            // matter only to a point within 1e-12 of a whole number.
            let (sin, cos) = angle.sin_cos();
            ((r * cos + radius) as i64, (r * sin + radius) as i64)
        })
        .collect();
    let mut drawn = vec![0_u8; size * size];
    let mut plot = |x: i64, y: i64| {
        if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y))
            && x < size
            && y < size
        {
            drawn[y * size + x] = 1;
        }
    };
    for pair in points.windows(2) {
        line(pair[0], pair[1], &mut plot);
    }
    if let Some(&(x, y)) = points.last() {
        plot(x, y);
    }
    let first = size / 2 - side / 2;
    let centre: Vec<u8> =
        (0..side * side).map(|i| drawn[(first + i / side) * size + first + i % side]).collect();
    blurred(&blurred(&centre, side, 1), side, side)
}

/// Draws from one point towards another, which is left out (Bresenham).
fn line(from: (i64, i64), to: (i64, i64), plot: &mut impl FnMut(i64, i64)) {
    let (dx, dy) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
    let (sx, sy) = ((to.0 - from.0).signum(), (to.1 - from.1).signum());
    let (mut x, mut y) = from;
    let steep = dx <= dy;
    let (long, short) = if steep { (dy, dx) } else { (dx, dy) };
    let mut error = 2 * short - long;
    for _ in 0..long {
        plot(x, y);
        if error >= 0 {
            if steep {
                x += sx
            } else {
                y += sy
            }
            error -= 2 * long;
        }
        error += 2 * short;
        if steep { y += sy } else { x += sx }
    }
}

/// [1, 2, 1] along an axis whose neighbours are `step` apart, mirrored at the border without
/// repeating the edge.
fn blurred(from: &[u8], side: usize, step: usize) -> Vec<u8> {
    (0..from.len())
        .map(|i| {
            let place = i / step % side;
            let before = if place == 0 { i + step } else { i - step };
            let after = if place + 1 == side { i - step } else { i + step };
            from[before] + 2 * from[i] + from[after]
        })
        .collect()
}
