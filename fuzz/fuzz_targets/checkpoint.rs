//! A checkpoint of a run.
#![no_main]

use experiments::checkpoint::Checkpoint;
use experiments::supersample::Settings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let path = fuzz::folder("checkpoint").join("checkpoint.safetensors");
    std::fs::write(&path, data).unwrap();
    let read = fuzz::frugal(data, || Checkpoint::<Settings>::read(&path));
    fuzz::names_the_file(&read, "checkpoint.safetensors");
});
