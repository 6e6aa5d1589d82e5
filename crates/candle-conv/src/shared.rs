//! A slice that several threads write to at places of their own.

use std::marker::PhantomData;

/// A mutable slice shared by threads that promise to use disjoint parts of it.
pub(crate) struct Shared<'a> {
    pointer: *mut f32,
    length: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: the only access is `part`, whose callers promise that parts in use do not overlap.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub fn new(slice: &'a mut [f32]) -> Self {
        Self { pointer: slice.as_mut_ptr(), length: slice.len(), borrow: PhantomData }
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
    pub unsafe fn part(&self, start: usize, length: usize) -> &mut [f32] {
        assert!(start <= self.length && length <= self.length - start, "a part of the slice");
        // SAFETY: within the slice, as asserted; not aliased, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(start), length) }
    }
}
