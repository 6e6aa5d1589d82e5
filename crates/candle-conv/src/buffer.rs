//! Buffers that are used again: fresh memory costs more than filling it.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// So many free buffers of a type are kept; the one unused for longest goes first.
const MOST: usize = 256;

/// A type with a list of free buffers.
pub(crate) trait Pooled: Copy + Default + 'static {
    fn free() -> &'static Mutex<VecDeque<Vec<Self>>>;
}

impl Pooled for f32 {
    fn free() -> &'static Mutex<VecDeque<Vec<Self>>> {
        static FREE: Mutex<VecDeque<Vec<f32>>> = Mutex::new(VecDeque::new());
        &FREE
    }
}

impl Pooled for u8 {
    fn free() -> &'static Mutex<VecDeque<Vec<Self>>> {
        static FREE: Mutex<VecDeque<Vec<u8>>> = Mutex::new(VecDeque::new());
        &FREE
    }
}

/// Some numbers, whatever they were when last used; they go back when dropped.
pub(crate) struct Buffer<T: Pooled = f32> {
    all: Vec<T>,
    length: usize,
}

impl<T: Pooled> Buffer<T> {
    /// A buffer of this length: the shortest free one that is long enough and not twice as long, or
    /// a new one.
    pub fn take(length: usize) -> Self {
        let mut free = T::free().lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |all: &Vec<T>| length <= all.len() && all.len() <= 2 * length;
        let best = (0..free.len()).filter(|&at| fits(&free[at])).min_by_key(|&at| free[at].len());
        let found = best.and_then(|at| free.remove(at));
        drop(free);
        Self { all: found.unwrap_or_else(|| vec![T::default(); length]), length }
    }

    /// The numbers alone; they do not go back.
    pub fn into_vec(mut self) -> Vec<T> {
        let mut all = std::mem::take(&mut self.all);
        all.truncate(self.length);
        all
    }
}

impl<T: Pooled> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.all.is_empty() {
            return;
        }
        let mut free = T::free().lock().unwrap_or_else(PoisonError::into_inner);
        free.push_back(std::mem::take(&mut self.all));
        let oldest = if free.len() > MOST { free.pop_front() } else { None };
        drop(free);
        drop(oldest);
    }
}

impl<T: Pooled> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.all[..self.length]
    }
}

impl<T: Pooled> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.all[..self.length]
    }
}
