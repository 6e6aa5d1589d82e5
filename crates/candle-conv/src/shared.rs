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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_write_parts_of_their_own() {
        let mut numbers = [0_u32; 12];
        let shared = Shared::new(&mut numbers);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let shared = &shared;
                scope.spawn(move || {
                    // SAFETY: the parts do not overlap.
                    let part = unsafe { shared.part(3 * number, 3) };
                    part.fill(number as u32);
                });
            }
        });
        assert_eq!(numbers, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    }

    #[test]
    #[should_panic(expected = "a part of the slice")]
    fn a_part_that_does_not_fit() {
        // SAFETY: the only part.
        unsafe { Shared::new(&mut [0.0; 4]).part(2, 3) };
    }

    #[test]
    fn parts_of_an_empty_slice_are_empty() {
        assert_eq!(parts(&mut [1, 2, 3], 2, 2), [&mut [1, 2][..], &mut [3]]);
        assert!(parts::<u8>(&mut [], 2, 3).iter().map(|part| part.len()).eq([0, 0, 0]));
    }
}
