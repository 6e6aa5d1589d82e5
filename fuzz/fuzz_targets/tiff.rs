//! A micrograph from a TIFF file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzz::micrograph(data, "picture.tif"));
