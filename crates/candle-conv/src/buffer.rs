//! Buffers that are used again: fresh memory costs more than filling it.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers not in use.
static FREE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());
/// So many are kept.
const MOST: usize = 16;

/// Some numbers, whatever they were when last used; they go back when dropped.
pub(crate) struct Buffer(Vec<f32>);

impl Buffer {
    /// A buffer of this length: the smallest free one that is long enough, or a new one.
    pub fn take(length: usize) -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = free.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= length);
        let best = fits.min_by_key(|(_, buffer)| buffer.capacity()).map(|(place, _)| place);
        let mut buffer = best.map(|place| free.swap_remove(place)).unwrap_or_default();
        drop(free);
        buffer.resize(length, 0.0);
        Self(buffer)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < MOST {
            free.push(std::mem::take(&mut self.0));
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}
