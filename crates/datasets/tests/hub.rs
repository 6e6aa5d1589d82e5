//! Parquet files of the hub's form give the same pixels as went in.
#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used)]

use datasets::{SIDE, SIZE, dead_leaves, hub};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::path::Path;
use std::sync::Arc;

fn png_of(picture: &[u8; SIZE]) -> Vec<u8> {
    let interleaved: Vec<u8> = (0..SIZE).map(|i| picture[i % 3 * SIDE * SIDE + i / 3]).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&interleaved).unwrap();
    writer.finish().unwrap();
    bytes
}

/// A file with these pictures and labels.
fn parquet(pictures: Vec<Vec<u8>>, labels: &[i64]) -> SerializedFileReader<std::fs::File> {
    let schema = "message schema {
        OPTIONAL group img { OPTIONAL BYTE_ARRAY bytes; OPTIONAL BYTE_ARRAY path (UTF8); }
        OPTIONAL INT64 label;
    }";
    let file = tempfile::tempfile().unwrap();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer =
        SerializedFileWriter::new(file.try_clone().unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let count = labels.len();
    let bytes: Vec<ByteArray> = pictures.into_iter().map(ByteArray::from).collect();
    let names: Vec<ByteArray> = (0..count).map(|i| format!("{i}.png").as_str().into()).collect();
    for column in [bytes, names] {
        let mut writer = group.next_column().unwrap().unwrap();
        writer.typed::<ByteArrayType>().write_batch(&column, Some(&vec![2; count]), None).unwrap();
        writer.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(labels, Some(&vec![1; count]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    SerializedFileReader::new(file).unwrap()
}

#[test]
fn the_same_pixels_as_went_in() {
    let made = dead_leaves(5, 1);
    let file = parquet(made.pixels().iter().map(png_of).collect(), &[3, 0, 9, 1, 2]);
    let read = hub::read(&file, Path::new("five")).unwrap();
    assert!(read.pixels() == made.pixels());
    assert_eq!(read.labels(), [3, 0, 9, 1, 2]);
    assert!(!read.is_complete());
}

#[test]
fn bad_rows_are_errors() {
    let good = png_of(&dead_leaves(1, 1).pixels()[0]);
    for (pictures, labels, word) in [
        (vec![good.clone(), b"no picture".to_vec()], [1, 2], "row 1"),
        (vec![good.clone(), good.clone()], [1, 10], "label 10"),
        (vec![good.clone(), good[..100].to_vec()], [1, 2], "row 1"),
    ] {
        let error = hub::read(&parquet(pictures, &labels), Path::new("bad")).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}
