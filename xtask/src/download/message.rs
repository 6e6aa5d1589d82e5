//! What people are told when the system refuses.

use anyhow::anyhow;
use std::io::{Error, ErrorKind};
use std::path::Path;

/// An error of writing to a path, with the next step.
pub fn writing(path: &Path, error: &Error) -> anyhow::Error {
    let path = path.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => anyhow!(
            "{path}: the disk is full ({error}); make room, or give another folder with --out, and run \
             the command again: it goes on where it stopped"
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => anyhow!(
            "{path}: no permission to write there ({error}); give another folder with --out, or change \
             the permissions"
        ),
        _ => anyhow!("{path}: cannot be written: {error}"),
    }
}
