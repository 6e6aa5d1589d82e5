//! Data sets: fetched, checked, unpacked, put in place.

mod fetch;
mod message;
mod place;
mod unpack;

use crate::command::root;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use fetch::Source;
use indicatif::{ProgressBar, ProgressStyle};
use place::{Manifest, State};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which data set.
#[derive(Subcommand)]
pub enum Download {
    /// CIFAR-10's binary files, 170 MB, into data/cifar10.
    Cifar10 {
        #[command(flatten)]
        options: Options,
    },
    /// Crops of electron micrographs, into data/stem-crops. Their page lists what there is:
    /// github.com/Jeffrey-Ede/datasets/wiki
    StemCrops {
        #[command(flatten)]
        options: Options,
    },
}

/// From where, to where, and how patiently.
#[derive(Args, Clone)]
pub struct Options {
    /// Address of the archive (.tar.gz, .tar) or of a single .npy or .tif file [cifar10: the
    /// publisher's]
    #[arg(long)]
    url: Option<String>,
    /// The archive's SHA-256, 64 hexadecimal digits [cifar10: the publisher's]
    #[arg(long, value_name = "H", value_parser = digest)]
    sha256: Option<String>,
    /// Take the archive from this file, without a network
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    from: Option<PathBuf>,
    /// Folder for the data [default: data/cifar10 or data/stem-crops]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Tries in a row that bring nothing new before it gives up
    #[arg(long, value_name = "N", default_value_t = 6)]
    tries: u32,
    /// Seconds before the second try; doubled for each further one
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pause: f64,
    /// Seconds without a byte after which a connection counts as broken
    #[arg(long, value_name = "S", default_value_t = 30.0)]
    timeout: f64,
}

fn digest(text: &str) -> Result<String> {
    let text = text.to_ascii_lowercase();
    let hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(hex, "expected 64 hexadecimal digits");
    Ok(text)
}

/// What is known of an archive.
struct Known {
    name: &'static str,
    url: Option<&'static str>,
    sha256: Option<&'static str>,
    bytes: Option<u64>,
}

const CIFAR10: Known = Known {
    name: "cifar10",
    url: Some("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"),
    sha256: Some("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    bytes: Some(170_052_171),
};
const STEM_CROPS: Known = Known { name: "stem-crops", url: None, sha256: None, bytes: None };

impl Download {
    /// Does it.
    ///
    /// # Errors
    /// The message says what was wrong, where, and what to do.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Cifar10 { options } => get(&CIFAR10, &options),
            Self::StemCrops { options } => get(&STEM_CROPS, &options),
        }
    }
}

fn get(known: &Known, options: &Options) -> Result<()> {
    let out = match &options.out {
        // Without the slash that a shell adds to a folder.
        Some(out) => out.components().collect(),
        None => root().canonicalize()?.join("data").join(known.name),
    };
    match place::check(&out)? {
        State::Complete(files) => {
            println!("{}: all {files} files are in place and as they should be.", out.display());
            return Ok(());
        }
        State::Damaged(why) => println!("{}: {why}; it is fetched again.", out.display()),
        State::Absent => {}
    }
    let expected = Expected {
        sha256: options.sha256.clone().or_else(|| known.sha256.map(str::to_owned)),
        // Of another archive nothing is known.
        bytes: known.bytes.filter(|_| options.sha256.is_none()),
    };
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|error| message::writing(parent, &error))?;
    let origin;
    let (archive, fetched) = if let Some(file) = &options.from {
        origin = file.display().to_string();
        (file.clone(), false)
    } else {
        let Some(url) = options.url.clone().or_else(|| known.url.map(str::to_owned)) else {
            bail!(
                "no address: give one with --url. The crops are described, with their archives, at \
                 https://github.com/Jeffrey-Ede/datasets/wiki; an archive on disk is taken with \
                 --from FILE"
            );
        };
        let part = place::beside(&out, ".part");
        let source = Source {
            url: url.clone(),
            bytes: expected.bytes,
            tries: options.tries,
            pause: Duration::try_from_secs_f64(options.pause).context("--pause")?,
            timeout: Duration::try_from_secs_f64(options.timeout).context("--timeout")?,
        };
        fetch::fetch(&source, &part)?;
        origin = url;
        (part, true)
    };
    let sha256 = match expected.check(&archive) {
        Ok(sha256) => sha256,
        Err(error) if fetched => {
            fetch::forget(&archive);
            return Err(error.context(format!(
                "{origin}: not the expected archive; what came has been removed. Run the command \
                 again; if it stays so, the publisher has changed it, or something between changes \
                 it: fetch it in another way, and give it with --from FILE"
            )));
        }
        Err(error) => return Err(error.context("--from: not the expected archive; give another")),
    };
    println!("SHA-256 {sha256}{}", if expected.sha256.is_some() { ", as expected" } else { "" });
    let staging = place::beside(&out, ".unpacking");
    place::clear(&staging)?;
    let files = unpack::unpack(&archive, &origin, &staging).inspect_err(|_| {
        // What was unpacked up to here is of no use; the archive may be.
        let _ = std::fs::remove_dir_all(&staging);
    })?;
    let count = files.len();
    place::put(&staging, &out, &Manifest { origin, sha256, files })?;
    if fetched {
        fetch::forget(&archive);
    }
    println!("{count} files are in {}.", out.display());
    Ok(())
}

/// What an archive must be.
struct Expected {
    sha256: Option<String>,
    bytes: Option<u64>,
}

impl Expected {
    /// Checks size and checksum; gives the checksum.
    fn check(&self, path: &Path) -> Result<String> {
        let length = path.metadata().with_context(|| path.display().to_string())?.len();
        if let Some(bytes) = self.bytes {
            let path = path.display();
            ensure!(length == bytes, "{path}: {length} bytes; expected {bytes}");
        }
        let found = sha256(path)?;
        if let Some(expected) = &self.sha256 {
            let path = path.display();
            ensure!(found == *expected, "{path}: its SHA-256 is {found}; expected {expected}");
        }
        Ok(found)
    }
}

/// The SHA-256 of a file, as hexadecimal digits.
fn sha256(path: &Path) -> Result<String> {
    let named = || path.display().to_string();
    let mut file = File::open(path).with_context(named)?;
    let bar = bar("checking", file.metadata().with_context(named)?.len());
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).with_context(named)? {
            0 => break,
            count => {
                hasher.update(&buffer[..count]);
                bar.inc(count as u64);
            }
        }
    }
    bar.finish_and_clear();
    Ok(hex(&hasher.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A bar over bytes, with speed and time left.
fn bar(prefix: &'static str, bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style = "{prefix:11} {bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(style);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(prefix);
    bar
}

/// Writes a small file to a temporary name and renames it.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = place::beside(path, ".tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(temporary, path)
}
