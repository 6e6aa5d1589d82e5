//! CIFAR-10 from the Hugging Face hub, as parquet files; with the feature `hub`.
//!
//! Returns the same pixels as the binary files: rows stay rows, and a row that cannot be read is an
//! error.

use crate::cifar10::Split;
use crate::{CHANNELS, Error, Pictures, SIDE, SIZE};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use std::path::Path;

const REMEDY: &str = "try again later, or use the binary files: `cargo xtask download cifar10`";
const DATA_SET: &str = "cifar10";

/// Downloads a split, or takes it from the hub's cache on this machine.
///
/// # Errors
/// No network, or files of another form than expected: the message says which.
pub fn open(split: Split) -> Result<Pictures, Error> {
    let failed = |problem: String| Error::content(Path::new(DATA_SET), problem, REMEDY);
    let api = hf_hub::HFClientSync::new().map_err(|error| failed(error.to_string()))?;
    let files = candle_datasets::hub::from_hub(&api, DATA_SET.to_owned())
        .map_err(|error| failed(error.to_string()))?;
    // The hub gives no names: the splits differ in their numbers of pictures.
    let expected = match split {
        Split::Train => 50_000,
        Split::Test => 10_000,
    };
    let rows = |file: &SerializedFileReader<_>| file.metadata().file_metadata().num_rows();
    let file = files.into_iter().find(|file| rows(file) == expected);
    let file = file.ok_or_else(|| failed(format!("no parquet file of {expected} rows")))?;
    read(&file, Path::new(DATA_SET))
}

/// Reads the pictures of a parquet file; `name` is for messages.
///
/// # Errors
/// A row has no picture of 32x32 colour pixels in PNG, or no label 0 to 9: the message names it.
pub fn read(file: &dyn FileReader, name: &Path) -> Result<Pictures, Error> {
    let failed = |problem: String| Error::content(name, problem, REMEDY);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for row in file.get_row_iter(None).map_err(|error| failed(error.to_string()))? {
        let number = pixels.len();
        let row = row.map_err(|error| failed(format!("row {number}: {error}")))?;
        let (picture, label) = picture_and_label(&row)
            .map_err(|problem| failed(format!("row {number}: {problem}")))?;
        pixels.push(picture);
        labels.push(label);
    }
    if pixels.is_empty() {
        return Err(failed("no rows; expected pictures".to_owned()));
    }
    let complete = [10_000, 50_000].contains(&pixels.len());
    let source = format!("CIFAR-10, {} pictures from the hub ({})", pixels.len(), name.display());
    Ok(Pictures { pixels, labels, source, complete })
}

fn picture_and_label(row: &Row) -> Result<([u8; SIZE], u8), String> {
    let (mut picture, mut label) = (None, None);
    for (_, field) in row.get_column_iter() {
        match field {
            Field::Group(image) => {
                for (_, field) in image.get_column_iter() {
                    if let Field::Bytes(bytes) = field {
                        picture = Some(decode(bytes.data())?);
                    }
                }
            }
            Field::Long(number) => label = Some(*number),
            _ => {}
        }
    }
    let label = label.ok_or("no label")?;
    match u8::try_from(label) {
        Ok(label) if label < 10 => Ok((picture.ok_or("no picture")?, label)),
        _ => Err(format!("label {label}; expected 0 to 9")),
    }
}

/// A PNG picture as planes, row by row.
fn decode(bytes: &[u8]) -> Result<[u8; SIZE], String> {
    let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    let form = (width, height, info.color_type, info.bit_depth);
    if form != (SIDE, SIDE, png::ColorType::Rgb, png::BitDepth::Eight) {
        return Err(format!("a picture of {form:?}; expected 32x32 of 8-bit RGB"));
    }
    let mut interleaved = [0; SIZE];
    reader.next_frame(&mut interleaved).map_err(|error| error.to_string())?;
    Ok(std::array::from_fn(|i| interleaved[i % (SIDE * SIDE) * CHANNELS + i / (SIDE * SIDE)]))
}
