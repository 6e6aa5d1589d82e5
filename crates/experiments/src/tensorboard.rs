//! TensorBoard event files: the numbers of `metrics.csv`, one event a step.
//!
//! A file is a sequence of records (length, checksum, message, checksum) of protocol buffers; see
//! `tensorflow/core/util/event.proto` and `record_writer.h` in TensorFlow.

use anyhow::{Context, Result};
use prost::Message;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    /// In the first event alone.
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Scalars>,
}

#[derive(Message)]
struct Scalars {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Writes a file of events.
#[derive(Debug)]
pub struct EventWriter {
    file: BufWriter<File>,
    path: PathBuf,
}

impl EventWriter {
    /// Starts the file anew. Its name must contain `tfevents` for TensorBoard to find it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let named = || format!("{}: cannot be written", path.display());
        let file = BufWriter::new(File::create(path).with_context(named)?);
        let mut writer = Self { file, path: path.to_path_buf() };
        writer.event(0, Some("brain.Event:2".into()), None)?;
        Ok(writer)
    }

    /// Appends an event with a scalar for each number of a row, by the names of its fields. What is
    /// blank in the row is left out.
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn write(&mut self, step: u64, row: &impl Serialize) -> Result<()> {
        let fields = serde_json::to_value(row)?;
        let fields = fields.as_object().context("a row has named fields")?;
        let numbers = fields.iter().filter(|(name, _)| *name != "step");
        let numbers = numbers.filter_map(|(name, value)| Some((name, value.as_f64()?)));
        let value = numbers
            .map(|(name, number)| Scalar { tag: name.clone(), simple_value: Some(number as f32) })
            .collect();
        self.event(step, None, Some(Scalars { value }))
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().with_context(|| self.path.display().to_string())
    }

    fn event(
        &mut self,
        step: u64,
        file_version: Option<String>,
        summary: Option<Scalars>,
    ) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let step = i64::try_from(step)?;
        let event = Event { wall_time: now.as_secs_f64(), step, file_version, summary };
        let record = event.record();
        self.file.write_all(&record).with_context(|| self.path.display().to_string())
    }
}

impl Event {
    /// As it stands in a file.
    fn record(&self) -> Vec<u8> {
        let message = self.encode_to_vec();
        let length = (message.len() as u64).to_le_bytes();
        let parts = [
            &length[..],
            &masked_checksum(&length).to_le_bytes(),
            &message,
            &masked_checksum(&message).to_le_bytes(),
        ];
        parts.concat()
    }
}

/// The checksum of a record: CRC-32C, rotated and shifted as `tensorflow/core/lib/hash/crc32c.h` says.
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that `tensorboard.summary.writer.record_writer.RecordWriter` of the Python package
    /// tensorboard 2.21 writes for the same events.
    #[test]
    fn records_are_those_of_the_tensorboard_package() {
        let hex = |event: Event| -> String {
            event.record().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let value = vec![Scalar { tag: "raw".into(), simple_value: Some(2.5) }];
        let summary = Some(Scalars { value });
        let scalar = Event { wall_time: 1.5, step: 7, file_version: None, summary };
        assert_eq!(
            hex(scalar),
            "19000000000000008bf1082809000000000000f83f10072a0c0a0a0a037261771500002040a5c1d6a2"
        );
        let file_version = Some("brain.Event:2".into());
        let first = Event { wall_time: 1.5, step: 0, file_version, summary: None };
        assert_eq!(
            hex(first),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"
        );
    }
}
