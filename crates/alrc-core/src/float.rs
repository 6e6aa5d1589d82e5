//! The number types that losses come in.

/// A type of losses: `f32` or `f64`, and no other. What it builds on is not part of the public interface.
pub trait Float: private::Sealed {}

impl Float for f32 {}
impl Float for f64 {}

pub(crate) mod private {
    use core::fmt::Debug;
    use core::ops::{Add, Mul, Neg};

    /// What the kernels need of a float type.
    pub trait Sealed:
        Copy
        + PartialOrd
        + Into<f64>
        + Add<Output = Self>
        + Mul<Output = Self>
        + Neg<Output = Self>
        + Debug
    {
        /// The largest magnitude that a loss may have.
        const LARGEST: Self;
        /// Half of the type's largest value: factors and clipped losses stay below it, so that
        /// neither they nor their products overflow.
        const CEILING: f64;
        const ZERO: Self;
        const ONE: Self;
        #[inline]
        fn to_f64(self) -> f64 {
            self.into()
        }
        /// The nearest value of this type.
        fn from_f64(value: f64) -> Self;
        /// The largest value of this type that is not above `value`.
        fn floor_of(value: f64) -> Self;
        /// The smallest value of this type that is not below `value`.
        fn ceil_of(value: f64) -> Self;
        fn abs(self) -> Self;
    }

    impl Sealed for f32 {
        const LARGEST: Self = f32::MAX;
        const CEILING: f64 = f32::MAX as f64 / 2.0;
        const ZERO: Self = 0.0;
        const ONE: Self = 1.0;
        #[inline]
        fn from_f64(value: f64) -> Self {
            value as f32
        }
        #[inline]
        fn floor_of(value: f64) -> Self {
            let near = value as f32;
            if f64::from(near) > value { near.next_down() } else { near }
        }
        #[inline]
        fn ceil_of(value: f64) -> Self {
            let near = value as f32;
            if f64::from(near) < value { near.next_up() } else { near }
        }
        #[inline]
        fn abs(self) -> Self {
            f32::abs(self)
        }
    }

    impl Sealed for f64 {
        const LARGEST: Self = crate::LARGEST_LOSS;
        const CEILING: f64 = f64::MAX / 2.0;
        const ZERO: Self = 0.0;
        const ONE: Self = 1.0;
        #[inline]
        fn from_f64(value: f64) -> Self {
            value
        }
        #[inline]
        fn floor_of(value: f64) -> Self {
            value
        }
        #[inline]
        fn ceil_of(value: f64) -> Self {
            value
        }
        #[inline]
        fn abs(self) -> Self {
            f64::abs(self)
        }
    }
}
