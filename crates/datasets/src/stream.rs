//! An endless stream of shuffled, augmented pictures, whose state is one number.

use crate::{Augmentation, Pictures, SIZE, standardize};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Draws pictures without replacement within each epoch, each augmented and standardised.
///
/// The `k`-th picture ever drawn, and what is done to it, depend on the seed and on `k` alone. So
/// [`drawn`](Self::drawn) is the whole state: a stream made with the same pictures and seed, moved
/// there with [`seek`](Self::seek), goes on as this one.
///
/// # Example
/// ```
/// use datasets::{SIZE, Stream, dead_leaves};
/// use std::sync::Arc;
/// let pictures = Arc::new(dead_leaves(10, 1));
/// let mut stream = Stream::new(Arc::clone(&pictures), 7);
/// stream.next_batch(4);
/// let (drawn, batch) = (stream.drawn(), stream.next_batch(4));
/// assert_eq!(batch.len(), 4 * SIZE);
///
/// let mut resumed = Stream::new(pictures, 7);
/// resumed.seek(drawn);
/// assert_eq!(resumed.next_batch(4), batch);
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    pictures: Arc<Pictures>,
    seed: u64,
    drawn: u64,
    epoch: Option<u64>,
    order: Vec<u32>,
}

/// The generator's streams from here on shuffle epochs; those below augment pictures.
const SHUFFLES: u64 = 1 << 63;

impl Stream {
    /// A stream at its beginning.
    ///
    /// # Panics
    /// If there are no pictures, or over 4 billion.
    pub fn new(pictures: Arc<Pictures>, seed: u64) -> Self {
        assert!(!pictures.is_empty(), "pictures to draw from");
        let count = u32::try_from(pictures.len()).expect("fewer than 2^32 pictures");
        let order = (0..count).collect();
        Self { pictures, seed, drawn: 0, epoch: None, order }
    }

    /// How many pictures have been drawn: the state.
    pub fn drawn(&self) -> u64 {
        self.drawn
    }

    /// Goes to the place after `drawn` pictures.
    pub fn seek(&mut self, drawn: u64) {
        self.drawn = drawn;
    }

    /// The next `count` pictures, one after the other, [`SIZE`] numbers each, standardised.
    pub fn next_batch(&mut self, count: usize) -> Vec<f32> {
        let mut batch = vec![0.0; count * SIZE];
        for out in batch.chunks_exact_mut(SIZE) {
            self.next(out);
        }
        batch
    }

    fn next(&mut self, out: &mut [f32]) {
        let mut rng = self.generator(self.drawn);
        let index = self.index();
        Augmentation::draw(&mut rng).apply(&self.pictures.pixels()[index], out);
        standardize(out);
        self.drawn += 1;
    }

    /// The place of the next picture in the set.
    fn index(&mut self) -> usize {
        let count = self.order.len() as u64;
        let epoch = self.drawn / count;
        if self.epoch != Some(epoch) {
            self.order.sort_unstable();
            let mut rng = self.generator(SHUFFLES | epoch);
            self.order.shuffle(&mut rng);
            self.epoch = Some(epoch);
        }
        self.order[(self.drawn % count) as usize] as usize
    }

    fn generator(&self, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        rng
    }
}
