//! An endless stream of shuffled, augmented pictures, whose state is one number.

use crate::order::Order;
use crate::{Augmentation, Pictures, SIZE, standardize};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
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
    order: Order,
    drawn: u64,
    corrupted: f64,
}

/// The standard deviation of the noise on corrupted pictures, in that of a picture.
const NOISE: f32 = 50.0;

impl Stream {
    /// A stream at its beginning.
    ///
    /// # Panics
    /// If there are no pictures, or over 4 billion.
    pub fn new(pictures: Arc<Pictures>, seed: u64) -> Self {
        let order = Order::new(pictures.len(), seed);
        Self { pictures, order, drawn: 0, corrupted: 0.0 }
    }

    /// Corrupts a part of the pictures, 0 to 1: after standardisation, normal noise of 50 standard
    /// deviations is added to them. Which they are, and their noise, depend on the seed and the
    /// picture; both stay the same at each draw.
    #[must_use]
    pub fn with_corrupted(mut self, part: f64) -> Self {
        self.corrupted = part;
        self
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
        let mut rng = self.order.generator(self.drawn);
        let place = self.order.place(self.drawn);
        Augmentation::draw(&mut rng).apply(&self.pictures.pixels()[place], out);
        standardize(out);
        if self.corrupted > 0.0 {
            let mut rng = self.order.generator_of_picture(place);
            if rng.random_bool(self.corrupted.min(1.0)) {
                let noise = StandardNormal.sample_iter(rng);
                out.iter_mut().zip(noise).for_each(|(x, noise): (_, f32)| *x += NOISE * noise);
            }
        }
        self.drawn += 1;
    }
}
