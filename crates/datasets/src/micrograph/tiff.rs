//! Micrographs in TIFF files.
//!
//! The directories are read here, for clear messages, and because the decoder turns "white is zero"
//! pictures round, which loses digits: it is shown "black is zero" in their place, so that numbers
//! come as they are stored.

use super::{MOST_TIMES, REMEDY, io, narrowed};
use crate::Error;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::{TiffError, TiffResult};

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const PHOTOMETRIC: u16 = 262;
const SAMPLES: u16 = 277;
const FORMAT: u16 = 339;

/// What a directory says about its page.
#[derive(Clone, Debug, Default)]
struct Page {
    width: u64,
    height: u64,
    bits: u64,
    samples: u64,
    /// 1: unsigned, 2: signed, 3: float, 5 and 6: complex.
    format: u64,
    photometric: u64,
    /// Where the file says "white is zero", if it does.
    white_is_zero_at: Option<u64>,
    /// Bytes of the values of the largest entry.
    longest_entry: u64,
}

/// Height and width of each page.
pub fn pages(path: &Path) -> Result<Vec<(usize, usize)>, Error> {
    let wrong = |problem: String| Err(Error::content(path, problem, REMEDY));
    let (pages, length) = directories(path)?;
    for (number, page) in pages.iter().enumerate() {
        let Page { width, height, bits, samples, format, photometric, .. } = *page;
        let found = match (photometric, samples, format, bits) {
            (3, ..) => "a palette picture: its numbers are colours".to_owned(),
            (_, 2.., ..) => format!("{samples} samples a pixel (RGB or several channels)"),
            (_, _, 5 | 6, _) => "complex numbers".to_owned(),
            (_, _, 1..=3, 8 | 16 | 32 | 64) if width > 0 && height > 0 => {
                // Stored and as 32-bit floats, both are in memory for a while.
                let bytes = u128::from(width) * u128::from(height) * u128::from(bits / 8 + 4);
                if bytes <= u128::from(length) * u128::from(MOST_TIMES) {
                    continue;
                }
                format!("{width}x{height} pixels, which {length} bytes cannot hold")
            }
            (_, _, 1..=3, 8 | 16 | 32 | 64) => format!("a picture of {width}x{height} pixels"),
            _ => format!("{bits}-bit numbers of kind {format}"),
        };
        return wrong(format!("page {number} has {found}; expected grey pictures"));
    }
    let size = |page: &Page| Some((page.height.try_into().ok()?, page.width.try_into().ok()?));
    match pages.iter().map(size).collect() {
        Some(sizes) => Ok(sizes),
        None => wrong("a page too large for this machine".to_owned()),
    }
}

/// All pixels of a page.
pub fn read(path: &Path, page: usize) -> Result<Vec<f32>, Error> {
    let (pages, length) = directories(path)?;
    let patches = pages.iter().filter_map(|page| page.white_is_zero_at).collect();
    let file = File::open(path).map_err(|error| io(path, error))?;
    let reader = Patched { inner: BufReader::new(file), at: 0, patches };
    let decoded = decode(reader, page, length).map_err(|error| match error {
        TiffError::IoError(error) => io(path, error),
        TiffError::LimitsExceeded => Error::content(
            path,
            format!("page {page} would take more than {MOST_TIMES} times the file's size"),
            "get the file again, or start again without it",
        ),
        error => Error::content(path, format!("page {page}: {error}"), "get the file again"),
    })?;
    // Integers over 2^24 are rounded.
    fn floats<T: Into<f64>>(numbers: Vec<T>) -> Vec<f32> {
        numbers.into_iter().map(|x| x.into() as f32).collect()
    }
    Ok(match decoded {
        DecodingResult::F32(numbers) => numbers,
        DecodingResult::F64(numbers) => narrowed(path, numbers.into_iter())?,
        DecodingResult::F16(numbers) => numbers.into_iter().map(f32::from).collect(),
        DecodingResult::U8(numbers) => floats(numbers),
        DecodingResult::U16(numbers) => floats(numbers),
        DecodingResult::U32(numbers) => floats(numbers),
        DecodingResult::U64(numbers) => numbers.into_iter().map(|x| x as f32).collect(),
        DecodingResult::I8(numbers) => floats(numbers),
        DecodingResult::I16(numbers) => floats(numbers),
        DecodingResult::I32(numbers) => floats(numbers),
        DecodingResult::I64(numbers) => numbers.into_iter().map(|x| x as f32).collect(),
    })
}

fn decode(reader: Patched, page: usize, length: u64) -> TiffResult<DecodingResult> {
    let most = usize::try_from(length.saturating_mul(MOST_TIMES)).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = most;
    limits.intermediate_buffer_size = most;
    limits.ifd_value_size = usize::try_from(length).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new(reader)?.with_limits(limits);
    decoder.seek_to_image(page)?;
    decoder.read_image()
}

/// A file in which "black is zero" stands in some places.
struct Patched {
    inner: BufReader<File>,
    at: u64,
    /// Where two bytes say "white is zero": 0, in either byte order.
    patches: Vec<u64>,
}

impl Read for Patched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for &patch in &self.patches {
            // The byte that is 1 in "black is zero" was found when the place was: see `directories`.
            if let Some(place) = patch.checked_sub(self.at).filter(|&place| place < count as u64) {
                buffer[place as usize] = 1;
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Patched {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.at = self.inner.seek(to)?;
        Ok(self.at)
    }
}

/// Reads numbers in the file's byte order.
struct Numbers {
    file: BufReader<File>,
    little: bool,
    big_tiff: bool,
}

impl Numbers {
    fn number(&mut self, bytes: usize) -> std::io::Result<u64> {
        let mut buffer = [0; 8];
        self.file.read_exact(&mut buffer[..bytes])?;
        let shift = |i: usize| 8 * if self.little { i } else { bytes - 1 - i };
        Ok((0..bytes).fold(0, |sum, i| sum | u64::from(buffer[i]) << shift(i)))
    }

    fn offset(&mut self) -> std::io::Result<u64> {
        self.number(if self.big_tiff { 8 } else { 4 })
    }
}

/// The directories of all pages, in order, and the file's length.
fn directories(path: &Path) -> Result<(Vec<Page>, u64), Error> {
    let wrong = |problem: &str| Err(Error::content(path, problem.to_owned(), REMEDY));
    let file = File::open(path).map_err(|error| io(path, error))?;
    let length = file.metadata().map_err(|error| io(path, error))?.len();
    if length == 0 {
        return wrong("the file is empty, no TIFF file");
    }
    let mut numbers = Numbers { file: BufReader::new(file), little: true, big_tiff: false };
    let mut header = || -> std::io::Result<Option<u64>> {
        let order = numbers.number(2)?;
        numbers.little = order == 0x4949;
        if order != 0x4949 && order != 0x4d4d {
            return Ok(None);
        }
        match numbers.number(2)? {
            42 => {}
            43 => {
                numbers.big_tiff = true;
                numbers.number(4)?;
            }
            _ => return Ok(None),
        }
        numbers.offset().map(Some)
    };
    let Some(mut next) = header().map_err(|error| io(path, error))? else {
        return wrong("no TIFF file (it does not begin like one)");
    };
    let (mut pages, mut seen, mut bytes) = (Vec::new(), HashSet::new(), 0_u64);
    while next != 0 {
        if !seen.insert(next) {
            return wrong("its directories refer to each other in a circle");
        }
        let (count, size) = entries(&mut numbers, next).map_err(|error| io(path, error))?;
        // Directories that overlap could make reading them take for ever.
        bytes = bytes.saturating_add(count.saturating_mul(size));
        if bytes > length {
            return wrong("its directories are longer than the file, which is damaged");
        }
        let found = directory(&mut numbers, next, count).map_err(|error| io(path, error))?;
        // The decoder makes room for them before it reads them.
        if found.0.longest_entry > length {
            return wrong("a directory has an entry longer than the file, which is damaged");
        }
        pages.push(found.0);
        next = found.1;
    }
    if pages.is_empty() { wrong("a TIFF file without pictures") } else { Ok((pages, length)) }
}

/// The number of entries of a directory, and the bytes of each.
fn entries(numbers: &mut Numbers, at: u64) -> std::io::Result<(u64, u64)> {
    numbers.file.seek(SeekFrom::Start(at))?;
    let (count_bytes, entry_bytes) = if numbers.big_tiff { (8, 20) } else { (2, 12) };
    Ok((numbers.number(count_bytes)?, entry_bytes))
}

/// One directory, and where the next one is.
fn directory(numbers: &mut Numbers, at: u64, count: u64) -> std::io::Result<(Page, u64)> {
    let (count_bytes, entry_bytes) = if numbers.big_tiff { (8, 20) } else { (2, 12) };
    // What the standard takes where an entry is absent.
    let mut page = Page { bits: 1, samples: 1, format: 1, photometric: 1, ..Page::default() };
    for number in 0..count {
        let entry = at + count_bytes + number * entry_bytes;
        numbers.file.seek(SeekFrom::Start(entry))?;
        let (tag, kind) = (numbers.number(2)? as u16, numbers.number(2)?);
        let items = numbers.offset()?;
        let size = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => continue,
        };
        page.longest_entry = page.longest_entry.max(items.saturating_mul(size));
        // Unsigned integers.
        if ![1, 3, 4, 16].contains(&kind) {
            continue;
        }
        // The first item; several that do not fit here stand elsewhere.
        let here = entry + if numbers.big_tiff { 12 } else { 8 };
        let mut value_at = here;
        if items.saturating_mul(size) > (if numbers.big_tiff { 8 } else { 4 }) {
            value_at = numbers.offset()?;
            numbers.file.seek(SeekFrom::Start(value_at))?;
        }
        let field = match tag {
            WIDTH => &mut page.width,
            HEIGHT => &mut page.height,
            BITS => &mut page.bits,
            SAMPLES => &mut page.samples,
            FORMAT => &mut page.format,
            PHOTOMETRIC => &mut page.photometric,
            _ => continue,
        };
        *field = numbers.number(size as usize)?;
        if tag == PHOTOMETRIC && page.photometric == 0 {
            // The lowest byte of the value.
            let lowest = if numbers.little { 0 } else { size - 1 };
            page.white_is_zero_at = Some(value_at + lowest);
        }
    }
    numbers.file.seek(SeekFrom::Start(at + count_bytes + count * entry_bytes))?;
    let next = numbers.offset()?;
    Ok((page, next))
}
