//! Damaged and unusual files give what `expected.json` beside them says.
#![allow(clippy::unwrap_used)]

use datasets::micrograph::{Micrograph, MicrographFile};
use serde_json::Value;
use std::path::Path;
use test_data::odd_dir;

/// Reads every page of a file.
fn read(path: &Path) -> Result<Vec<Micrograph>, String> {
    let all = || -> Result<Vec<Micrograph>, datasets::Error> {
        let file = MicrographFile::open(path)?;
        (0..file.pages().len()).map(|page| file.read(page)).collect()
    };
    all().map_err(|error| error.to_string())
}

fn close(found: f64, expected: &Value) -> bool {
    let expected = expected.as_f64().unwrap();
    (found - expected).abs() <= 1e-5 * expected.abs()
}

#[test]
fn every_odd_file() {
    let folder = odd_dir();
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for (name, expected) in &expected {
        if !MicrographFile::has_known_name(Path::new(name)) {
            continue; // archives
        }
        checked += 1;
        let found = read(&folder.join(name));
        if let Some(words) = expected.get("error") {
            let error = found.expect_err(name);
            let says = |word: &Value| {
                error.to_lowercase().contains(&word.as_str().unwrap().to_lowercase())
            };
            assert!(words.as_array().unwrap().iter().any(says), "{name}: {error}");
            assert!(error.contains(name.rsplit('/').next().unwrap()), "{name}: {error}");
            continue;
        }
        let pages = found.unwrap_or_else(|error| panic!("{error}"));
        let expected = expected["pages"].as_array().unwrap();
        assert_eq!(pages.len(), expected.len(), "{name}");
        for (page, expected) in pages.iter().zip(expected) {
            assert_eq!(page.height() as u64, expected["height"].as_u64().unwrap(), "{name}");
            assert_eq!(page.width() as u64, expected["width"].as_u64().unwrap(), "{name}");
            let found = page.statistics().unwrap();
            assert_eq!(found.non_finite as u64, expected["non_finite"].as_u64().unwrap(), "{name}");
            for (key, found) in [("min", found.min), ("max", found.max), ("mean", found.mean)] {
                assert!(close(found, &expected[key]), "{name} {key}: {found} for {expected}");
            }
        }
    }
    assert!(checked > 0, "no files in {}", folder.display());
}

/// Found by fuzzing: a file of a hundred bytes that says it has four million strips. The decoder would
/// make room for their places, 128 MiB, before it looks for them.
#[test]
fn an_entry_longer_than_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strips.tif");
    let entries: [(u16, u16, u32, u32); 6] = [
        (256, 4, 1, 8),         // width
        (257, 4, 1, 8),         // height
        (258, 3, 1, 8),         // bits
        (262, 3, 1, 1),         // black is zero
        (273, 4, 4_194_305, 0), // places of the strips
        (278, 4, 1, 8),         // rows in a strip
    ];
    let mut bytes = b"II\x2a\0\x08\0\0\0\x06\0".to_vec();
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes().into_iter().chain(kind.to_le_bytes()));
        bytes.extend(count.to_le_bytes().into_iter().chain(value.to_le_bytes()));
    }
    bytes.extend([0; 4]); // no further page
    std::fs::write(&path, bytes).unwrap();
    let error = read(&path).unwrap_err();
    assert!(error.contains("longer than the file") && error.contains("strips.tif"), "{error}");
}

/// Arrays of any byte order and type, against numbers written down here.
#[test]
fn npy_types_and_orders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    let write = |descr: &str, fortran: bool, shape: &str, data: &[u8]| {
        let order = if fortran { "True" } else { "False" };
        let mut text =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
        while (10 + text.len() + 1) % 64 != 0 {
            text.push(' ');
        }
        text.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(data);
        std::fs::write(&path, bytes).unwrap();
    };
    let pixels =
        || read(&path).map(|pages| pages.iter().flat_map(|p| p.pixels().to_vec()).collect());
    let expected: Vec<f32> = vec![-2.0, 1.0, 0.0, 5.0];
    let all =
        |bytes: fn(f32) -> Vec<u8>| expected.iter().flat_map(|&x| bytes(x)).collect::<Vec<u8>>();
    type Case = (&'static str, fn(f32) -> Vec<u8>);
    let cases: [Case; 7] = [
        ("<f4", |x| x.to_le_bytes().to_vec()),
        (">f4", |x| x.to_be_bytes().to_vec()),
        ("<f8", |x| f64::from(x).to_le_bytes().to_vec()),
        (">f8", |x| f64::from(x).to_be_bytes().to_vec()),
        ("<f2", |x| half::f16::from_f32(x).to_le_bytes().to_vec()),
        (">i2", |x| (x as i16).to_be_bytes().to_vec()),
        ("|i1", |x| vec![x as i8 as u8]),
    ];
    for (descr, bytes) in cases {
        write(descr, false, "(2, 2)", &all(bytes));
        assert_eq!(pixels(), Ok(expected.clone()), "{descr}");
    }
    write("<f4", true, "(2, 2)", &all(cases[0].1));
    assert_eq!(pixels(), Ok(vec![-2.0, 0.0, 1.0, 5.0]), "column by column");
    write("<f4", false, "(1, 1, 2, 2)", &all(cases[0].1));
    assert!(pixels().unwrap_err().contains("shape"));
    write("<f4", false, "(2, 2)", &[0; 17]);
    assert!(pixels().unwrap_err().contains("trailing"));
    write("<c8", false, "(1, 1)", &[0; 8]);
    assert!(pixels().unwrap_err().contains("type"));
    write("<f8", false, "(1, 1)", &1e300_f64.to_le_bytes());
    assert!(pixels().unwrap_err().contains("1e300"));
}

/// Files that say more than they hold: errors, soon, and without much memory.
#[test]
fn hostile_headers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let entry = |tag: u16, value: u32| {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend(4_u16.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        bytes
    };
    let directory = |entries: &[Vec<u8>], next: u32| {
        let mut bytes = (entries.len() as u16).to_le_bytes().to_vec();
        bytes.extend(entries.concat());
        bytes.extend(next.to_le_bytes());
        bytes
    };
    let write = |rest: Vec<u8>| {
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.extend(rest);
        std::fs::write(&path, bytes).unwrap();
        read(&path).unwrap_err()
    };
    let sides = |side: u32| vec![entry(256, side), entry(257, side), entry(258, 8)];
    for side in [33_553_920, u32::MAX] {
        let error = write(directory(&sides(side), 0));
        assert!(error.contains("cannot hold") && error.contains("a.tif"), "{error}");
    }
    assert!(write(directory(&sides(4), 8)).contains("circle"));
    // Many directories, each of which claims the same many entries.
    let mut overlapping = Vec::new();
    for number in 0..5_000_u32 {
        overlapping.extend(40_000_u16.to_le_bytes());
        overlapping.extend(((8 + 4 * (number + 1)) as u16).to_le_bytes());
    }
    assert!(write(overlapping).contains("longer than the file"));

    let path = folder.path().join("a.npy");
    let mut bytes =
        b"\x93NUMPY\x01\x00\x40\x00{'descr': '\xbcf4', 'fortran_order': False, 'shape': (1, 1), }"
            .to_vec();
    bytes.resize(10 + 64, b' ');
    bytes.extend([0; 4]);
    std::fs::write(&path, &bytes).unwrap();
    assert!(read(&path).unwrap_err().contains("type"));
}
