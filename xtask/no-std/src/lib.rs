//! Clipping for a program without an operating system.
#![no_std]

use alrc_core::{Clipper, Config, Moments};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Clips one loss by fresh moments; NaN if it cannot be clipped.
#[unsafe(no_mangle)]
pub extern "C" fn alrc_clip_once(loss: f32) -> f32 {
    let mut losses = [loss];
    let clipped = Clipper::new(Config::default(), Moments::default())
        .and_then(|mut clipper| clipper.clip(&mut losses));
    if clipped.is_ok() { losses[0] } else { f32::NAN }
}
