//! Downloads from a server that misbehaves in every way that servers do.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod server;

use flate2::Compression;
use flate2::write::GzEncoder;
use server::{Reply, Server};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;
use test_data::Mount;

/// An archive of two files; the second does not compress.
fn archive() -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    let noise: Vec<u8> = noise.take(400_000).collect();
    for (name, bytes) in [("crops/readme.txt", &b"crops"[..]), ("crops/train/train1.tif", &noise)] {
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn download(out: &Path, what: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["download", what, "--out"]).arg(out).args(more);
    command.args(["--pause", "0.02", "--timeout", "0.5"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy).env_remove(proxy.to_lowercase());
    }
    command
}

fn text(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn good(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

fn refused(command: &mut Command, words: &[&str]) -> String {
    let output = command.output().unwrap();
    let text = text(&output);
    assert!(!output.status.success(), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} not all in: {text}");
    text
}

struct Place {
    _folder: TempDir,
    out: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("crops");
        Self { _folder: folder, out }
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.out.parent().unwrap()).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> = entries.map(|e| name(e).into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// All in place, and nothing beside it.
    fn is_complete(&self) {
        assert_eq!(self.names(), ["crops"]);
        assert_eq!(std::fs::read(self.out.join("crops/readme.txt")).unwrap(), b"crops");
        let noise = std::fs::read(self.out.join("crops/train/train1.tif")).unwrap();
        assert_eq!(noise.len(), 400_000);
    }
}

/// Downloads from a server that answers so, and checks that all is well at the end; gives what was
/// printed, and for each request where it asked to go on.
fn survives(
    reply: impl FnMut(usize, Option<usize>) -> Reply + Send + 'static,
) -> (String, Vec<Option<usize>>) {
    let server = Server::new(archive(), reply);
    let place = Place::new();
    let digest = sha256(&archive());
    let arguments = ["--url", &server.url("crops.tar.gz"), "--sha256", &digest];
    let text = good(&mut download(&place.out, "stem-crops", &arguments));
    place.is_complete();
    (text, server.requests())
}

#[test]
fn a_second_call_does_nothing_and_damage_is_found() {
    let server = Server::new(archive(), |_, _| Reply::Good);
    let place = Place::new();
    let url = server.url("crops.tar.gz");
    let fetch = || good(&mut download(&place.out, "stem-crops", &["--url", &url]));
    let first = fetch();
    assert!(first.contains("SHA-256") && first.contains("2 files are in"), "{first}");
    place.is_complete();
    assert!(fetch().contains("all 2 files are in place"));
    assert_eq!(server.requests().len(), 1);

    let path = place.out.join("crops/train/train1.tif");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[123_456] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let text = fetch();
    assert!(text.contains("train1.tif is damaged") && text.contains("fetched again"), "{text}");
    place.is_complete();
    std::fs::remove_file(&path).unwrap();
    assert!(fetch().contains("train1.tif is missing"));
    place.is_complete();

    // What is damaged is replaced only if nothing of the user's would be lost.
    let mine = place.out.join("crops/mine.tif");
    std::fs::write(&mine, "mine").unwrap();
    std::fs::remove_file(&path).unwrap();
    refused(&mut download(&place.out, "stem-crops", &["--url", &url]), &["mine.tif", "move it"]);
    std::fs::remove_file(&mine).unwrap();
    let slash = format!("{}/", place.out.display());
    good(&mut download(Path::new(&slash), "stem-crops", &["--url", &url]));
    place.is_complete();
    std::fs::write(place.out.join("download.json"), "{").unwrap();
    refused(&mut download(&place.out, "stem-crops", &["--url", &url]), &["download.json", "move"]);
}

#[test]
fn broken_connections_are_resumed() {
    let (text, requests) = survives(|number, _| match number {
        0 => Reply::Cut(100_000),
        1 => Reply::Cut(150_000),
        _ => Reply::Good,
    });
    assert!(text.contains("the connection broke after"), "{text}");
    assert_eq!(requests[0], None);
    assert!(requests[1].unwrap() > 50_000 && requests[2].unwrap() > requests[1].unwrap());
}

#[test]
fn servers_that_never_give_the_rest_are_given_up() {
    let server = Server::new(archive(), |number, _| {
        if number.is_multiple_of(2) { Reply::Cut(100_000) } else { Reply::OtherVersion }
    });
    let place = Place::new();
    let arguments = ["--url", &server.url("crops.tar.gz"), "--tries", "3"];
    refused(&mut download(&place.out, "stem-crops", &arguments), &["given up after 3 tries"]);
    assert!(server.requests().len() < 10);
}

#[test]
fn silence_counts_as_broken() {
    let (text, requests) = survives(|number, _| match number {
        0 => Reply::Silence(100_000),
        _ => Reply::Good,
    });
    assert!(text.contains("no byte came for 0.5 s"), "{text}");
    assert!(requests[1].is_some());
}

#[test]
fn servers_that_do_not_honour_the_range_start_over() {
    // The whole in answer to a range.
    let (_, requests) = survives(|number, _| match number {
        0 => Reply::Cut(100_000),
        _ => Reply::Whole,
    });
    assert_eq!(requests.len(), 2);
    // Another part than was asked for.
    let (text, requests) = survives(|number, _| match number {
        0 => Reply::Cut(100_000),
        1 => Reply::WrongPart,
        _ => Reply::Good,
    });
    assert!(text.contains("another part or version"), "{text}");
    assert_eq!(requests[2], None);
    // A part of another version.
    let (text, requests) = survives(|number, _| match number {
        0 => Reply::Cut(100_000),
        1 => Reply::OtherVersion,
        _ => Reply::Good,
    });
    assert!(text.contains("another part or version"), "{text}");
    assert_eq!(requests[2], None);
    // No way to tell versions apart: never gone on with.
    let (_, requests) = survives(|number, _| match number {
        0 => Reply::CutWithoutTag(100_000),
        _ => Reply::Good,
    });
    assert_eq!(requests, [None, None]);
}

#[test]
fn busy_servers_are_asked_again_and_lengths_may_be_unknown() {
    let started = Instant::now();
    let (text, requests) = survives(|number, _| match number {
        0 | 1 => Reply::Status("503 Service Unavailable"),
        2 => Reply::Status("429 Too Many Requests"),
        _ => Reply::Chunked,
    });
    assert_eq!(requests.len(), 4);
    assert!(text.contains("503") && text.contains("429"), "{text}");
    // 0.02 s, then twice, then four times as long.
    assert!(started.elapsed() >= Duration::from_millis(140));
}

#[test]
fn a_killed_download_goes_on() {
    let server = Server::new(archive(), |number, _| match number {
        0 => Reply::Silence(200_000),
        _ => Reply::Good,
    });
    let place = Place::new();
    let url = server.url("crops.tar.gz");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["download", "stem-crops", "--out"]).arg(&place.out).args(["--url", &url]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let part = place.out.with_extension("part");
    while part.metadata().map_or(0, |data| data.len()) < 100_000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = part.metadata().unwrap().len() as usize;
    good(&mut download(&place.out, "stem-crops", &["--url", &url]));
    assert_eq!(server.requests()[1], Some(kept));
    place.is_complete();

    // Killed after the last byte: the server has no more, and says so.
    std::fs::remove_dir_all(&place.out).unwrap();
    std::fs::write(&part, archive()).unwrap();
    let notes = format!("{{\"url\":\"{url}\",\"validator\":\"\\\"one\\\"\"}}");
    std::fs::write(place.out.with_extension("part.json"), notes).unwrap();
    good(&mut download(&place.out, "stem-crops", &["--url", &url]));
    assert_eq!(server.requests()[2], Some(archive().len()));
    place.is_complete();
}

#[test]
fn each_fault_has_its_own_message() {
    let place = Place::new();
    let fails = |reply: fn() -> Reply, more: &[&str], words: &[&str]| {
        let server = Server::new(archive(), move |_, _| reply());
        let url = server.url("crops.tar.gz");
        let arguments = [&["--url", &url, "--tries", "2"], more].concat();
        refused(&mut download(&place.out, "stem-crops", &arguments), words);
        assert!(!place.out.exists());
    };
    fails(|| Reply::Page("text/html"), &[], &["web page", "Please log in", "--from"]);
    fails(|| Reply::Page("application/gzip"), &[], &["web page", "Please log in"]);
    fails(|| Reply::Status("404 Not Found"), &[], &["404", "--url", "--from"]);
    fails(|| Reply::Status("500 Oh"), &[], &["500", "given up after 2 tries"]);
    let wrong = "0".repeat(64);
    fails(|| Reply::Good, &["--sha256", &wrong], &["expected 000", "has been removed"]);
    assert_eq!(place.names(), Vec::<String>::new());
    let nobody = "http://127.0.0.1:1/crops.tar.gz";
    refused(
        &mut download(&place.out, "stem-crops", &["--url", nobody, "--tries", "2"]),
        &["no connection", "HTTPS_PROXY", "--from"],
    );
    refused(&mut download(&place.out, "stem-crops", &[]), &["--url", "wiki"]);
    refused(&mut download(&place.out, "stem-crops", &["--sha256", "12"]), &["64 hexadecimal"]);
    // Another size than CIFAR-10's is known from the answer's head.
    let server = Server::new(archive(), |_, _| Reply::Good);
    let url = server.url("cifar-10-binary.tar.gz");
    refused(&mut download(&place.out, "cifar10", &["--url", &url]), &["expected 170052171"]);
    // Data that somebody else put there are not touched.
    std::fs::create_dir(&place.out).unwrap();
    std::fs::write(place.out.join("mine.tif"), "mine").unwrap();
    refused(&mut download(&place.out, "stem-crops", &["--url", &url]), &["not put there", "--out"]);
    assert_eq!(std::fs::read(place.out.join("mine.tif")).unwrap(), b"mine");
}

#[test]
fn full_and_read_only_disks() {
    let server = Server::new(archive(), |_, _| Reply::Good);
    let url = server.url("crops.tar.gz");
    let fetch = |disk: &Mount| download(&disk.path().join("crops"), "stem-crops", &["--url", &url]);
    if let Some(disk) = Mount::or_skip("size=200k") {
        let words = ["the disk is full", "--out", "goes on where it stopped"];
        refused(&mut fetch(&disk), &words);
        assert!(disk.path().join("crops.part").metadata().unwrap().len() > 0);
    }
    // Room for the archive, but not for what is in it.
    if let Some(disk) = Mount::or_skip("size=600k") {
        refused(&mut fetch(&disk), &["the disk is full"]);
        assert!(
            !disk.path().join("crops").exists() && !disk.path().join("crops.unpacking").exists()
        );
        let kept = disk.path().join("crops.part").metadata().unwrap().len();
        assert_eq!(kept, archive().len() as u64);
    }
    if let Some(disk) = Mount::or_skip("ro") {
        refused(&mut fetch(&disk), &["no permission", "--out"]);
    }
}

#[test]
fn proxies_of_the_environment_are_used() {
    let server = Server::new(archive(), |_, _| Reply::Good);
    let place = Place::new();
    let url = "http://archive.invalid/crops.tar.gz";
    let mut command = download(&place.out, "stem-crops", &["--url", url]);
    good(command.env("HTTP_PROXY", server.url("")));
    place.is_complete();
    assert!(server.saw("archive.invalid"));
}

#[test]
fn archives_from_disk() {
    let place = Place::new();
    let file = place.out.with_extension("tar.gz");
    std::fs::write(&file, archive()).unwrap();
    let from = file.to_str().unwrap();
    refused(&mut download(&place.out, "cifar10", &["--from", from]), &["expected 170052171"]);
    let digest = sha256(&archive());
    good(&mut download(&place.out, "cifar10", &["--from", from, "--sha256", &digest]));
    assert!(file.exists(), "the user's own archive stays");
    assert!(place.out.join("crops/readme.txt").exists());
    std::fs::remove_dir_all(&place.out).unwrap();

    let bytes = archive();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    refused(&mut download(&place.out, "stem-crops", &["--from", from]), &["cut short"]);
    // A checksum of the compression that is wrong, and an archive without its end.
    let mut bad = bytes.clone();
    let place_of_crc = bad.len() - 8;
    bad[place_of_crc] ^= 1;
    std::fs::write(&file, bad).unwrap();
    refused(&mut download(&place.out, "stem-crops", &["--from", from]), &["damaged or cut short"]);
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut plain).unwrap();
    std::fs::write(&file, &plain[..1_024]).unwrap(); // the first member alone
    refused(&mut download(&place.out, "stem-crops", &["--from", from]), &["does not end"]);
    std::fs::write(&file, "rubbish").unwrap();
    refused(&mut download(&place.out, "stem-crops", &["--from", from]), &["neither", "rubbish"]);
    refused(&mut download(&place.out, "stem-crops", &["--from", "/no/such"]), &["/no/such"]);
    let picture = place.out.with_extension("npy");
    std::fs::write(&picture, b"\x93NUMPY and more").unwrap();
    good(&mut download(&place.out, "stem-crops", &["--from", picture.to_str().unwrap()]));
    assert!(place.out.join("crops.npy").exists());
}

/// Refused, with nothing outside the folder and nothing in it.
fn is_refused(archive: &Path) -> String {
    let place = Place::new();
    let arguments = ["--from", archive.to_str().unwrap()];
    let text = refused(&mut download(&place.out, "stem-crops", &arguments), &["refused"]);
    assert_eq!(place.names(), Vec::<String>::new());
    text
}

#[test]
fn archives_that_lead_outside_are_refused() {
    let odd = test_data::odd_dir();
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(odd.join("expected.json")).unwrap()).unwrap();
    let mut tried = 0;
    for (name, expected) in expected.as_object().unwrap() {
        if name.starts_with("tar/") {
            let text = is_refused(&odd.join(name)).to_lowercase();
            let words = expected["error"].as_array().unwrap();
            let has = |word: &serde_json::Value| text.contains(word.as_str().unwrap());
            assert!(words.iter().any(has), "{name}: {text}");
            tried += 1;
        }
    }
    assert!(tried >= 2);

    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("outside.txt");
    let path = folder.path().join("bad.tar");
    for (kind, name, link) in [
        (EntryType::Regular, secret.to_str().unwrap(), ""),
        (EntryType::Regular, "a/../../outside.txt", ""),
        (EntryType::Regular, "..", ""),
        (EntryType::Symlink, "link", "/etc"),
        (EntryType::Symlink, "link", "harmless"),
        (EntryType::Link, "link", "/etc/passwd"),
        (EntryType::Char, "device", ""),
        (EntryType::Fifo, "pipe", ""),
    ] {
        let mut builder = Builder::new(Vec::new());
        let mut first = Header::new_ustar();
        first.set_size(4);
        builder.append_data(&mut first, "first.txt", &b"good"[..]).unwrap();
        let mut header = Header::new_ustar();
        // The builder itself would refuse such names.
        let fields = header.as_ustar_mut().unwrap();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        let content: &[u8] = if kind == EntryType::Regular { b"evil" } else { b"" };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
        std::fs::write(&path, builder.into_inner().unwrap()).unwrap();
        is_refused(&path);
        assert!(!secret.exists(), "{name}");
    }
}
