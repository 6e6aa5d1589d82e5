//! A batch file of CIFAR-10.
#![no_main]

use datasets::cifar10::{Split, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: {
    let folder = fuzz::folder("cifar10");
    let names: String = (0..10).map(|i| format!("class{i}\n")).collect();
    std::fs::write(folder.join("batches.meta.txt"), names).unwrap();
}, |data: &[u8]| {
    let folder = fuzz::folder("cifar10");
    std::fs::write(folder.join("test_batch.bin"), data).unwrap();
    let read = fuzz::frugal(data, || open(&folder, Split::Test));
    fuzz::names_the_file(&read, "test_batch.bin");
    if let Ok(pictures) = read {
        // Nothing is left out, nothing invented.
        assert_eq!(pictures.len() * 3_073, data.len());
    }
});
