//! Buffers that are used again: fresh memory costs more than filling it.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The buffers of a type that are free, the one unused for longest first.
///
/// Free and used buffers together hold at most twice as many numbers as were ever in use at once:
/// pictures of many sizes, one after the other, do not pile up.
pub(crate) struct Pool<T> {
    free: VecDeque<Vec<T>>,
    /// Numbers in them.
    held: usize,
    /// Numbers in buffers that are in use, and the most that ever were.
    used: usize,
    most: usize,
}

impl<T> Pool<T> {
    const fn new() -> Self {
        Self { free: VecDeque::new(), held: 0, used: 0, most: 0 }
    }

    /// The shortest free buffer that is long enough and not twice as long.
    fn take(&mut self, length: usize) -> Option<Vec<T>> {
        let fits = |all: &Vec<T>| length <= all.len() && all.len() <= 2 * length;
        let places = (0..self.free.len()).filter(|&at| fits(&self.free[at]));
        let best = places.min_by_key(|&at| self.free[at].len())?;
        let all = self.free.remove(best)?;
        self.held -= all.len();
        Some(all)
    }

    fn begin_use(&mut self, numbers: usize) {
        self.used += numbers;
        self.most = self.most.max(self.used);
    }

    /// Takes a buffer back; gives those that are too many.
    fn end_use(&mut self, all: Vec<T>) -> Vec<Vec<T>> {
        self.used -= all.len();
        self.held += all.len();
        self.free.push_back(all);
        let mut gone = Vec::new();
        while self.held + self.used > 2 * self.most {
            let Some(oldest) = self.free.pop_front() else { break };
            self.held -= oldest.len();
            gone.push(oldest);
        }
        gone
    }
}

/// A type with a pool of buffers.
pub(crate) trait Pooled: Copy + Default + 'static {
    fn pool() -> MutexGuard<'static, Pool<Self>>;
}

impl Pooled for f32 {
    fn pool() -> MutexGuard<'static, Pool<Self>> {
        static POOL: Mutex<Pool<f32>> = Mutex::new(Pool::new());
        POOL.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pooled for u8 {
    fn pool() -> MutexGuard<'static, Pool<Self>> {
        static POOL: Mutex<Pool<u8>> = Mutex::new(Pool::new());
        POOL.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Some numbers, whatever they were when last used; they go back when dropped. They begin at a
/// multiple of 64 bytes: vectors that cross a border between cache lines take twice as long to load.
pub(crate) struct Buffer<T: Pooled = f32> {
    all: Vec<T>,
    start: usize,
    length: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

impl<T: Pooled> Buffer<T> {
    /// A buffer of this length, used before or new.
    pub fn take(length: usize) -> Self {
        let whole = if length == 0 { 0 } else { length + LINE / size_of::<T>() };
        let mut pool = T::pool();
        let found = pool.take(whole);
        pool.begin_use(found.as_ref().map_or(whole, Vec::len));
        drop(pool);
        let all = found.unwrap_or_else(|| vec![T::default(); whole]);
        // What the platform cannot align stays where it is.
        let start = all.as_ptr().align_offset(LINE).min(whole - length);
        Self { all, start, length }
    }

    /// The numbers alone; they do not go back.
    pub fn into_vec(mut self) -> Vec<T> {
        let mut all = std::mem::take(&mut self.all);
        T::pool().used -= all.len();
        all.drain(..self.start);
        all.truncate(self.length);
        all
    }
}

impl<T: Pooled> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.all.is_empty() {
            return;
        }
        let gone = T::pool().end_use(std::mem::take(&mut self.all));
        drop(gone); // without the pool being locked
    }
}

impl<T: Pooled> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.all[self.start..][..self.length]
    }
}

impl<T: Pooled> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.all[self.start..][..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, LINE, Pool};

    #[test]
    fn buffers_begin_at_a_cache_line() {
        for length in [0, 1, 17, 1000] {
            let mut buffer = Buffer::<f32>::take(length);
            assert_eq!(buffer.len(), length);
            assert!(length == 0 || buffer.as_ptr().addr().is_multiple_of(LINE));
            buffer.fill(length as f32);
            assert_eq!(buffer.into_vec(), vec![length as f32; length]);
        }
    }

    #[test]
    fn buffers_of_many_sizes_do_not_pile_up() {
        let mut pool = Pool::<u8>::new();
        for length in [1000, 100, 800, 90, 400, 190, 350, 300, 30, 150, 60] {
            let all = pool.take(length).unwrap_or_else(|| vec![0; length]);
            assert!((length..=2 * length).contains(&all.len()));
            pool.begin_use(all.len());
            pool.end_use(all);
            assert!(pool.held + pool.used <= 2000, "{}", pool.held);
            assert_eq!(pool.held, pool.free.iter().map(Vec::len).sum::<usize>());
        }
        assert_eq!(pool.used, 0);
        assert_eq!(pool.take(100).map(|all| all.len()), Some(100));
    }
}
