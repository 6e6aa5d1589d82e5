//! A slice that several threads write to at places of their own.

use std::marker::PhantomData;

/// A mutable slice shared by threads that promise to use disjoint parts of it.
pub(crate) struct Shared<'a, T = f32> {
    pointer: *mut T,
    length: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: the only access is `part`, whose callers promise that parts in use do not overlap.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { pointer: slice.as_mut_ptr(), length: slice.len(), borrow: PhantomData }
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The numbers from `start` on.
    ///
    /// # Safety
    /// No other part that overlaps this one may be in use at the same time.
    ///
    /// # Panics
    /// If the part does not lie within the slice.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, start: usize, length: usize) -> &mut [T] {
        assert!(start <= self.length && length <= self.length - start, "a part of the slice");
        // SAFETY: within the slice, as asserted; not aliased, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(start), length) }
    }
}

/// A slice cut into `count` parts of `length` each (the last may be shorter), or `count` empty parts
/// of an empty slice.
pub(crate) fn parts<T>(slice: &mut [T], length: usize, count: usize) -> Vec<&mut [T]> {
    let mut parts: Vec<&mut [T]> = slice.chunks_mut(length.max(1)).collect();
    parts.resize_with(count, Default::default);
    parts
}
