//! Writing files so that nothing is lost: to a temporary name, to disk, then renamed.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Writes a file in whole: afterwards the path holds the new bytes, or, after an error or a crash,
/// what it held before.
///
/// # Errors
/// The file system refuses; the message names the file.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    // Programs that share a folder may write the same file at the same time.
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    temporary.push(format!(".{}-{}.tmp", std::process::id(), now.subsec_nanos()));
    let temporary = Path::new(&temporary);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, path)
    };
    let written = write();
    if written.is_err() {
        // What is half written takes room that the disk may not have.
        let _ = fs::remove_file(temporary);
    }
    written.with_context(|| {
        format!(
            "{}: cannot be written ({} bytes); what it held before is unchanged; check the disk's \
             space and the folder's permissions",
            path.display(),
            bytes.len()
        )
    })
}
