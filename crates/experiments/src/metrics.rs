//! `metrics.csv`: a row a step.

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A row: what one step did.
pub trait Record: Copy + Serialize + DeserializeOwned {
    /// Steps done, this one included.
    fn step(&self) -> u64;
    /// The loss itself, a mean over the batch.
    fn raw(&self) -> f32;
    /// What would be minimised without clipping.
    fn unclipped(&self) -> f32;
    /// How many losses of the batch were clipped; none where clipping is off.
    fn clipped_count(&self) -> Option<u64>;
    /// Whether weights stayed as they were because of losses that are not finite.
    fn skipped(&self) -> bool;
}

/// Another program writes the file: the run is being trained there.
#[derive(Debug)]
pub struct Busy(PathBuf);

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.display();
        write!(f, "{path}: another program trains this run now; wait for it, or stop it")
    }
}

impl Error for Busy {}

/// Appends rows to a file, and keeps all of them at hand. The file is locked: nobody else can append
/// to it until the writer is dropped, or the program ends in whatever way.
#[derive(Debug)]
pub struct MetricsWriter<R> {
    writer: csv::Writer<File>,
    rows: Vec<R>,
    path: PathBuf,
}

/// Opens a file for appending, makes it if there is none, and locks it until it is closed.
///
/// # Errors
/// It cannot be opened, or is locked already: then the error is [`Busy`].
pub fn lock(path: &Path) -> Result<File> {
    let named = || format!("{}: cannot be written; check the folder's permissions", path.display());
    // Appending makes every write go to the end, also after a cut.
    let file = OpenOptions::new().create(true).append(true).open(path).with_context(named)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Busy(path.to_path_buf()).into()),
        // Some network file systems have no locks: there nothing is guarded.
        Err(TryLockError::Error(error)) if has_locks(&error) => Err(error).with_context(named),
        _ => Ok(file),
    }
}

/// Whether the error does not say that the file system has no locks.
fn has_locks(error: &std::io::Error) -> bool {
    const ENOLCK: i32 = 37; // on Linux: no locks for this network file system
    error.kind() != ErrorKind::Unsupported && error.raw_os_error() != Some(ENOLCK)
}

impl<R: Record> MetricsWriter<R> {
    /// Starts a locked file, or goes on with one after its first `keep` bytes; what follows them was
    /// written after the last checkpoint and is written again.
    ///
    /// # Errors
    /// The file is shorter than `keep`, or cannot be read.
    pub fn new(file: File, path: &Path, keep: u64) -> Result<Self> {
        let named = || format!("{}: cannot be written", path.display());
        let length = file.metadata().with_context(named)?.len();
        ensure!(
            keep <= length,
            "{}: {length} bytes, but the checkpoint belongs to one of {keep}; the file has been \
             changed: start the run again in another folder",
            path.display()
        );
        file.set_len(keep).with_context(named)?;
        let writer = csv::WriterBuilder::new().has_headers(keep == 0).from_writer(file);
        Ok(Self { writer, rows: read(path)?, path: path.to_path_buf() })
    }

    /// Appends a row; it may stay in memory until [`flush`](Self::flush).
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn write(&mut self, row: R) -> Result<()> {
        self.writer.serialize(row).with_context(|| self.path.display().to_string())?;
        self.rows.push(row);
        Ok(())
    }

    /// All rows of the file, and those that are still to be written to it.
    pub fn rows(&self) -> &[R] {
        &self.rows
    }

    /// Writes everything to disk, and gives the file's length in bytes.
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn flush(&mut self) -> Result<u64> {
        let mut flush = || {
            self.writer.flush()?;
            let file = self.writer.get_ref();
            file.sync_all()?;
            Ok::<_, std::io::Error>(file.metadata()?.len())
        };
        flush().with_context(|| {
            format!("{}: cannot be written; is the disk full?", self.path.display())
        })
    }
}

/// Reads the rows of a file.
///
/// # Errors
/// It is missing or not of this form; the message names the line.
pub fn read<R: Record>(path: &Path) -> Result<Vec<R>> {
    let named = || path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(named)?;
    reader.deserialize().collect::<Result<_, _>>().with_context(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supersample::Row;

    #[test]
    fn rows_survive_and_going_on_cuts_what_follows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let row = |step| Row {
            step,
            raw: f32::NAN,
            unclipped: f32::INFINITY,
            clipped: None,
            upper: Some(74.75),
            mean: Some(0.1),
            std: None,
            clipped_count: Some(1),
            skipped: 1,
            learning_rate: 0.1 / 128.0,
        };
        let open = |keep| MetricsWriter::<Row>::new(lock(&path)?, &path, keep);
        let mut writer = open(0).unwrap();
        writer.write(row(1)).unwrap();
        let keep = writer.flush().unwrap();
        writer.write(row(2)).unwrap();
        drop(writer);
        let text = std::fs::read_to_string(&path).unwrap();
        let header =
            "step,raw,unclipped,clipped,upper,mean,std,clipped_count,skipped,learning_rate";
        assert_eq!(text.lines().next(), Some(header));
        let mut writer = open(keep).unwrap();
        writer.write(row(3)).unwrap();
        let kept: Vec<u64> = writer.rows().iter().map(|row| row.step).collect();
        assert_eq!(kept, [1, 3]);
        drop(writer);
        let rows = read::<Row>(&path).unwrap();
        assert_eq!(rows.iter().map(|row| row.step).collect::<Vec<_>>(), [1, 3]);
        assert!(rows[0].raw.is_nan() && rows[0].unclipped.is_infinite());
        assert_eq!((rows[0].upper, rows[0].clipped), (Some(74.75), None));
        assert!(open(1 << 20).is_err());
        let _writer = open(keep).unwrap();
        let busy = open(keep).unwrap_err();
        assert!(busy.downcast_ref::<Busy>().is_some(), "{busy:#}");
    }
}
