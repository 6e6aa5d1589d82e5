//! What the targets share.

use datasets::micrograph::MicrographFile;
use peak_alloc::PeakAlloc;
use std::fmt::{Debug, Display};
use std::path::PathBuf;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Runs what reads an input: it may take 1,100 times the input's bytes, and 16 MiB besides.
pub fn frugal<T>(input: &[u8], read: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = read();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    let most = 1_100 * input.len() + (16 << 20);
    assert!(taken <= most, "{taken} bytes for an input of {}", input.len());
    result
}

/// A folder of this process.
pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("alrc-fuzz-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Errors of a loader name the file.
pub fn names_the_file<T, E: Debug + Display>(read: &Result<T, E>, name: &str) {
    if let Err(error) = read {
        let text = format!("{error:?} {error}");
        assert!(text.contains(name), "{text}");
    }
}

/// Reads all pages of a micrograph.
pub fn micrograph(data: &[u8], name: &str) {
    let path = folder("micrograph").join(name);
    std::fs::write(&path, data).expect("a file");
    let file = frugal(data, || MicrographFile::open(&path));
    names_the_file(&file, name);
    let Ok(file) = file else { return };
    for (page, &(height, width)) in file.pages().iter().enumerate().take(20) {
        let read = frugal(data, || file.read(page));
        names_the_file(&read, name);
        if let Ok(picture) = read {
            assert_eq!((picture.height(), picture.width()), (height, width));
            assert_eq!(picture.pixels().len(), height * width);
        }
    }
}
