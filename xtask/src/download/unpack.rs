//! Archives, unpacked into a folder and nowhere else.

use super::{bar, hex, message};
use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, EntryType};

/// Unpacks a `.tar.gz` or `.tar` archive into a new folder; a single NPY or TIFF file is copied there.
/// Gives the SHA-256 of each file by its path.
///
/// # Errors
/// The file is of another kind or damaged, or the disk is full. A member that would lie outside the
/// folder, or is a link or a device, is refused, whatever else the archive holds.
pub fn unpack(path: &Path, origin: &str, folder: &Path) -> Result<BTreeMap<String, String>> {
    let named = || path.display().to_string();
    let mut file = File::open(path).with_context(named)?;
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(512).read_to_end(&mut start).with_context(named)?;
    file.rewind().with_context(named)?;
    let bar = bar("unpacking", file.metadata().with_context(named)?.len());
    let reader = BufReader::new(bar.wrap_read(file));
    std::fs::create_dir_all(folder).map_err(|error| message::writing(folder, &error))?;
    let files = if start.starts_with(&[0x1f, 0x8b]) {
        members(MultiGzDecoder::new(reader), folder)
    } else if start.get(257..262) == Some(b"ustar") {
        members(reader, folder)
    } else if start.starts_with(b"\x93NUMPY") || is_tiff(&start) {
        let name = origin.split(['?', '#']).next().unwrap_or(origin);
        let name = name.rsplit('/').next().filter(|name| is_plain(name)).unwrap_or("data");
        let mut files = BTreeMap::new();
        let digest = copy(reader, &folder.join(name))?;
        files.insert(name.to_owned(), digest);
        Ok(files)
    } else {
        bail!(
            "{}: neither a .tar.gz or .tar archive nor an NPY or TIFF file; it begins with {:?}",
            path.display(),
            String::from_utf8_lossy(&start[..start.len().min(24)])
        )
    };
    bar.finish_and_clear();
    let files = files.with_context(named)?;
    ensure!(!files.is_empty(), "{}: the archive holds no files", path.display());
    Ok(files)
}

fn is_tiff(start: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| start.starts_with(*magic))
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

fn members(reader: impl Read, folder: &Path) -> Result<BTreeMap<String, String>> {
    let damaged = "the archive is damaged or cut short";
    let mut archive = Archive::new(Ends { reader, zeros: 0 });
    let mut files = BTreeMap::new();
    for entry in archive.entries().context(damaged)? {
        let mut entry = entry.context(damaged)?;
        let name = entry.path().context(damaged)?.into_owned();
        let kind = entry.header().entry_type();
        let target = folder.join(inside(&name)?);
        let refuse = |error: &io::Error| message::writing(&target, error);
        match kind {
            EntryType::Directory => {
                std::fs::create_dir_all(&target).map_err(|error| refuse(&error))?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                if let Some(parent) = target.parent() {
                    std::fs::create_dir_all(parent).map_err(|error| refuse(&error))?;
                }
                let digest = copy(&mut entry, &target)?;
                let name = target.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
                files.insert(name, digest);
            }
            EntryType::XGlobalHeader => {}
            EntryType::Symlink | EntryType::Link => bail!(
                "the member `{}` is a link; it is refused, since a link can lead outside the folder",
                name.display()
            ),
            other => bail!("the member `{}` is no file ({other:?}); it is refused", name.display()),
        }
    }
    // What follows the last member is read too: the compression's own checksum is at the very end.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).context(damaged)?;
    ensure!(rest.zeros >= END, "{damaged}: it does not end as archives do");
    Ok(files)
}

/// Zeros at the end of an archive, in bytes.
const END: u64 = 1_024;

/// Counts the zeros that it ends with.
struct Ends<R> {
    reader: R,
    zeros: u64,
}

impl<R: Read> Read for Ends<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let zeros = buffer[..count].iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == count { self.zeros + count as u64 } else { zeros as u64 };
        Ok(count)
    }
}

/// The path of a member, if it stays within the folder.
fn inside(name: &Path) -> Result<PathBuf> {
    let mut path = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => bail!(
                "the path of the member `{}` leads outside the folder; it is refused",
                name.display()
            ),
        }
    }
    Ok(path)
}

/// Copies to a new file; gives the SHA-256. Links in the way are not followed: the file must not be
/// there.
fn copy(mut from: impl Read, to: &Path) -> Result<String> {
    let failed = |error: io::Error| message::writing(to, &error);
    let mut file = File::create_new(to).map_err(failed)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 18]);
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => {
                bail!("the archive is damaged or cut short, at {}: {error}", to.display())
            }
        };
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    Ok(hex(&hasher.finalize()))
}
