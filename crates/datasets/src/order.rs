//! The order in which pictures are drawn, and the random numbers of each.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The generator's streams from here on shuffle epochs; those below belong to draws.
const SHUFFLES: u64 = 1 << 63;
/// From here on to [`SHUFFLES`] they belong to the pictures themselves, whenever they are drawn.
const PICTURES: u64 = 1 << 62;

/// Draws without replacement within each epoch. The `k`-th draw depends on the seed and `k` alone.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    seed: u64,
    epoch: Option<u64>,
    places: Vec<u32>,
}

impl Order {
    /// An order of `count` pictures.
    ///
    /// # Panics
    /// If there are none, or over 4 billion.
    pub fn new(count: usize, seed: u64) -> Self {
        assert!(count > 0, "pictures to draw from");
        let count = u32::try_from(count).expect("fewer than 2^32 pictures");
        Self { seed, epoch: None, places: (0..count).collect() }
    }

    /// The place of the picture of the `k`-th draw in the set.
    pub fn place(&mut self, k: u64) -> usize {
        let count = self.places.len() as u64;
        let epoch = k / count;
        if self.epoch != Some(epoch) {
            self.places.sort_unstable();
            let mut rng = self.stream(SHUFFLES | epoch);
            self.places.shuffle(&mut rng);
            self.epoch = Some(epoch);
        }
        self.places[(k % count) as usize] as usize
    }

    /// The random numbers of the `k`-th draw.
    pub fn generator(&self, k: u64) -> ChaCha8Rng {
        self.stream(k)
    }

    /// The random numbers of a picture: the same at each draw.
    pub fn generator_of_picture(&self, place: usize) -> ChaCha8Rng {
        self.stream(PICTURES | place as u64)
    }

    fn stream(&self, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        rng
    }
}
