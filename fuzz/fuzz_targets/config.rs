//! `config.toml` of a run of either experiment, and the grid of a sweep.
#![no_main]

use experiments::run::{RunSettings, read_settings};
use experiments::supersample::sweep::{Grid, Scale};
use experiments::{stem, supersample};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = fuzz::folder("config");
    let path = folder.join("config.toml");
    std::fs::write(&path, data).unwrap();
    let read = fuzz::frugal(data, || read_settings::<supersample::Settings>(&folder));
    fuzz::names_the_file(&read, "config.toml");
    if let Ok(settings) = read {
        let _ = settings.check();
        assert!(!settings.name().contains('/'));
    }
    if let Ok(settings) = fuzz::frugal(data, || read_settings::<stem::Settings>(&folder)) {
        let _ = settings.check();
    }
    if let Ok(grid) = fuzz::frugal(data, || Grid::open(path.to_str().unwrap()))
        && let Ok(runs) = grid.runs(Scale::Quick, None)
    {
        assert!(runs.iter().all(|settings| settings.check().is_ok()));
    }
});
