//! Pictures made on the spot: coloured discs that hide each other, like leaves on the ground.
//!
//! With disc radii `r` distributed as `1/r^3` such pictures share the edges, flat regions and
//! scale invariance of natural ones (Lee, Mumford, Huang, "Occlusion models for natural images",
//! Int. J. Comput. Vis. 41, 2001). Only additions, multiplications and square roots are used, so
//! they are the same on every machine.

use crate::{CHANNELS, Pictures, SIDE, SIZE};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Each pixel is the mean of this many points along each axis.
const OVERSAMPLING: usize = 2;
const FINE: usize = SIDE * OVERSAMPLING;
/// Disc radii, in pixels of the picture.
const RADII: (f64, f64) = (5.0, 40.0);
/// Painting ends here even if a point is still bare (it stays black); about 100 cover a picture.
const MOST_LEAVES: usize = 3_000;

/// `count` pictures; the same `seed` gives the same pictures. Their labels are all 0.
pub fn dead_leaves(count: usize, seed: u64) -> Pictures {
    let pixels = (0..count)
        .map(|number| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(number as u64);
            picture(&mut rng)
        })
        .collect();
    let source =
        format!("{count} dead-leaves pictures made on the spot (seed {seed}), no real data");
    Pictures { pixels, labels: vec![0; count], source, complete: false }
}

fn picture(rng: &mut ChaCha8Rng) -> [u8; SIZE] {
    let mut fine: Vec<Option<[f64; CHANNELS]>> = vec![None; FINE * FINE];
    let mut bare = fine.len();
    // From the front to the back: a leaf shows where nothing lies on it.
    for _ in 0..MOST_LEAVES {
        if bare == 0 {
            break;
        }
        let (least, most) = (RADII.0.powi(-2), RADII.1.powi(-2));
        let radius = OVERSAMPLING as f64 / (most + (least - most) * rng.random::<f64>()).sqrt();
        let reach = FINE as f64 + 2.0 * radius;
        let mut centre = || rng.random::<f64>() * reach - radius;
        let (x, y) = (centre(), centre());
        let brightness: f64 = rng.random::<f64>() * 255.0;
        let colour: [f64; CHANNELS] =
            std::array::from_fn(|_| brightness + (rng.random::<f64>() - 0.5) * 60.0);
        let span = |middle: f64| {
            let first = (middle - radius).max(0.0) as usize;
            first..((middle + radius + 1.0).max(0.0) as usize).min(FINE)
        };
        for row in span(y) {
            for column in span(x) {
                let (dx, dy) = (column as f64 - x, row as f64 - y);
                let point = &mut fine[row * FINE + column];
                if point.is_none() && dx * dx + dy * dy <= radius * radius {
                    *point = Some(colour);
                    bare -= 1;
                }
            }
        }
    }
    std::array::from_fn(|i| {
        let (channel, row, column) = (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
        let mut sum = 0.0;
        for dy in 0..OVERSAMPLING {
            for dx in 0..OVERSAMPLING {
                let point = (row * OVERSAMPLING + dy) * FINE + column * OVERSAMPLING + dx;
                sum += fine[point].map_or(0.0, |colour| colour[channel].clamp(0.0, 255.0));
            }
        }
        (sum / (OVERSAMPLING * OVERSAMPLING) as f64) as u8
    })
}
