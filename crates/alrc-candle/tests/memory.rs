//! No graph stays alive: memory in use does not grow over 100,000 steps.
#![allow(clippy::unwrap_used)]

use alrc_candle::Alrc;
use candle_core::{Device, Tensor, Var};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call goes to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_hundred_thousand_steps() {
    let weight = Var::new(1.0_f32, &Device::Cpu).unwrap();
    let inputs = Tensor::new(&[1.0_f32, 2.0, 400.0], &Device::Cpu).unwrap();
    let mut alrc = Alrc::default();
    let mut step = |steps: u32| {
        for _ in 0..steps {
            let losses = inputs.broadcast_mul(&weight).unwrap();
            let clipped = alrc.forward(&losses).unwrap();
            clipped.losses.mean_all().unwrap().backward().unwrap();
        }
        LIVE.load(Ordering::Relaxed)
    };
    let before = step(100);
    let after = step(100_000);
    assert!((after - before).abs() < 4096, "{before} bytes in use, then {after}");
}
