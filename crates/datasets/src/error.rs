//! What can be wrong with files of pictures.

use std::path::{Path, PathBuf};

/// A file that cannot be used: which, what was found, what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system would not give it.
    #[error("{path}: {source}; {remedy}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// It holds something else than expected.
    #[error("{path}: {problem}; {remedy}", path = .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl Error {
    pub(crate) fn content(path: &Path, problem: String, remedy: &'static str) -> Self {
        Self::Content { path: path.to_path_buf(), problem, remedy }
    }
}
