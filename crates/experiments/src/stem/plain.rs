//! Two ways to complete a scan without learning, to compare with.

/// Scanned pixels with at least this mask (in sixteenths) are taken for the truth: the path of the
/// beam has 6 where it is diagonal and 8 where it is straight.
const SURE: u8 = 6;
/// Sweeps of the harmonic fill. The arms of the spiral are tens of pixels apart: it has settled.
const SWEEPS: usize = 400;
/// Over-relaxation of the harmonic fill.
const OVER: f32 = 1.85;

/// What a partial scan (see [`datasets::partial_scan`]) says of the picture: the scan over the mask
/// where the mask is at least 6/16, nothing elsewhere.
pub fn known(scan: &[f32], mask: &[u8]) -> Vec<Option<f32>> {
    let of = |(&x, &mask): (&f32, &u8)| (mask >= SURE).then(|| x / datasets::weight(mask));
    scan.iter().zip(mask).map(of).collect()
}

/// Every pixel takes the nearest known one's number; of several, that of the nearest column. All 0 if
/// nothing is known.
pub fn nearest(known: &[Option<f32>], width: usize) -> Vec<f32> {
    let height = known.len() / width.max(1);
    // For each pixel: the row of the nearest known pixel in its column.
    let mut rows: Vec<Option<usize>> = vec![None; known.len()];
    for column in 0..width {
        let mut last = None;
        for row in 0..height {
            if known[row * width + column].is_some() {
                last = Some(row);
            }
            rows[row * width + column] = last;
        }
        last = None;
        for row in (0..height).rev() {
            let place = row * width + column;
            if known[place].is_some() {
                last = Some(row);
            }
            let below =
                last.is_some_and(|last| rows[place].is_none_or(|above| last - row < row - above));
            if below {
                rows[place] = last;
            }
        }
    }
    let mut out = vec![0.0; known.len()];
    for (place, out) in out.iter_mut().enumerate() {
        let (row, column) = (place / width, place % width);
        let mut best = usize::MAX;
        for reach in 0..width {
            if reach * reach >= best {
                break;
            }
            let beside = [column.checked_sub(reach), Some(column + reach).filter(|&c| c < width)];
            for beside in beside.into_iter().flatten() {
                let Some(found) = rows[row * width + beside] else { continue };
                let distance = reach * reach + found.abs_diff(row).pow(2);
                if distance < best {
                    best = distance;
                    *out = known[found * width + beside].unwrap_or(0.0);
                }
            }
        }
    }
    out
}

/// Unknown pixels take the mean of their neighbours, all at once: the solution of Laplace's equation
/// (by successive over-relaxation from the nearest known numbers).
pub fn harmonic(known: &[Option<f32>], width: usize) -> Vec<f32> {
    let mut out = nearest(known, width);
    let height = known.len() / width.max(1);
    for _ in 0..SWEEPS {
        for (place, known) in known.iter().enumerate() {
            if known.is_some() {
                continue;
            }
            let (row, column) = (place / width, place % width);
            let (mut sum, mut count) = (0.0, 0.0);
            let mut add = |inside: bool, at: usize| {
                if inside {
                    sum += out[at];
                    count += 1.0;
                }
            };
            add(row > 0, place.wrapping_sub(width));
            add(row + 1 < height, place + width);
            add(column > 0, place.wrapping_sub(1));
            add(column + 1 < width, place + 1);
            if count > 0.0 {
                out[place] += OVER * (sum / count - out[place]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_the_nearest() {
        let width = 9;
        let known: Vec<Option<f32>> =
            (0..63_usize).map(|i| (i * 37 % 11 == 0).then_some(i as f32)).collect();
        for (place, found) in nearest(&known, width).into_iter().enumerate() {
            let distance = |i: usize| {
                (i / width).abs_diff(place / width).pow(2)
                    + (i % width).abs_diff(place % width).pow(2)
            };
            let all = (0..63).filter(|&i| known[i].is_some());
            assert_eq!(distance(found as usize), all.map(distance).min().unwrap());
        }
        assert_eq!(nearest(&[None, None], 2), [0.0, 0.0]);
    }

    #[test]
    fn a_plane_is_harmonic() {
        let (width, height) = (12, 10);
        let plane = |i: usize| (i % width) as f32 * 0.3 - (i / width) as f32 * 0.2;
        let border = |i: usize| {
            let (row, column) = (i / width, i % width);
            row == 0 || column == 0 || row + 1 == height || column + 1 == width
        };
        let known: Vec<Option<f32>> =
            (0..width * height).map(|i| border(i).then(|| plane(i))).collect();
        for (i, found) in harmonic(&known, width).into_iter().enumerate() {
            assert!((found - plane(i)).abs() < 1e-4, "{found} for {}", plane(i));
        }
    }
}
