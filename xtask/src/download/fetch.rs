//! One file over HTTP: resumed, and tried again.

use super::{bar, message, place, write_whole};
use anyhow::{Context, Error, Result, anyhow};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use ureq::http::{HeaderMap, Response, StatusCode, header};

/// What to fetch, and how patiently.
pub struct Source {
    /// The address.
    pub url: String,
    /// How long it is, if that is known.
    pub bytes: Option<u64>,
    /// Tries in a row that bring nothing new.
    pub tries: u32,
    /// Before the second try; doubled for each further one.
    pub pause: Duration,
    /// Without a byte.
    pub timeout: Duration,
}

/// What a partial file is a part of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Version {
    url: String,
    /// ETag, or else the date of the last change: what tells versions apart.
    validator: Option<String>,
}

/// Why a try ended.
enum Failure {
    /// Another try may go better.
    Broken(Error),
    /// The same, without what has come so far: it does not fit.
    StartOver(Error),
    /// It would not.
    Final(Error),
}

use Failure::{Broken, Final, StartOver};

/// Longest pause between tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Fetches into a file, which grows in place and is gone on with by a later call.
///
/// # Errors
/// The server refuses, sends a web page, or cannot be reached; the disk is full. What has come stays.
pub fn fetch(source: &Source, part: &Path) -> Result<()> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(source.timeout))
        .timeout_recv_response(Some(source.timeout))
        .user_agent(concat!("alrc-xtask/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let bar = bar("downloading", source.bytes.unwrap_or(0));
    let (mut failures, mut pause) = (0, source.pause);
    let mut most = length(part)?;
    println!("{}", source.url);
    loop {
        let error = match attempt(&agent, source, part, &bar) {
            Ok(()) => {
                bar.finish_and_clear();
                return Ok(());
            }
            Err(Final(error)) => return Err(error.context(source.url.clone())),
            Err(Broken(error)) => error,
            Err(StartOver(error)) => {
                forget(part);
                error.context("starting over")
            }
        };
        let kept = length(part)?;
        if kept > most {
            (most, failures, pause) = (kept, 0, source.pause);
        }
        failures += 1;
        if failures >= source.tries.max(1) {
            return Err(error.context(format!(
                "{}: given up after {failures} tries that brought nothing new. Check the network, and \
                 HTTPS_PROXY if there is a proxy. Run the command again to go on ({kept} bytes are \
                 kept), or fetch the archive in another way and give it with --from FILE",
                source.url
            )));
        }
        bar.suspend(|| {
            println!("{error:#}; {kept} bytes are kept; again in {:.1} s", pause.as_secs_f64());
        });
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Removes a partial file and what is known of it.
pub fn forget(part: &Path) {
    // Where they cannot be removed they do no harm: they are checked before they are used.
    let _ = std::fs::remove_file(part);
    let _ = std::fs::remove_file(place::beside(part, ".json"));
}

fn length(part: &Path) -> Result<u64> {
    match part.metadata() {
        Ok(data) => Ok(data.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).with_context(|| part.display().to_string()),
    }
}

fn attempt(
    agent: &ureq::Agent,
    source: &Source,
    part: &Path,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let notes = place::beside(part, ".json");
    let have = length(part).map_err(Final)?;
    let saved: Option<Version> =
        std::fs::read(&notes).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    // Without a validator two parts cannot be known to be of one file.
    let saved = saved.filter(|saved| saved.url == source.url && saved.validator.is_some());
    let resume = saved.filter(|_| have > 0);
    let mut request = agent.get(&source.url);
    if let Some(Version { validator: Some(validator), .. }) = &resume {
        request = request.header(header::RANGE, format!("bytes={have}-"));
        request = request.header(header::IF_RANGE, validator);
    }
    let response = request.call().map_err(|error| Broken(connection(error)))?;
    let version = Version { url: source.url.clone(), validator: validator(response.headers()) };
    let (start, total) = match meaning(&response, &version, resume.as_ref(), have)? {
        Meaning::Body { start, total } => (start, total),
        Meaning::NothingMore => return Ok(()),
    };
    if let (Some(total), Some(expected)) = (total, source.bytes)
        && total != expected
        && !is_page(response.headers(), &[])
    {
        return Err(Final(anyhow!(
            "the server's archive has {total} bytes; expected {expected}: the publisher has changed it, \
             or this is another file; give another address with --url and its --sha256, or an archive \
             on disk with --from FILE"
        )));
    }
    bar.set_length(total.or(source.bytes).unwrap_or(0));
    bar.set_position(start);
    bar.reset_eta();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(part)
        .map_err(|error| Final(message::writing(part, &error)))?;
    if start == 0 {
        file.set_len(0).map_err(|error| Final(message::writing(part, &error)))?;
        let text = serde_json::to_vec(&version).map_err(|error| Final(error.into()))?;
        write_whole(&notes, &text).map_err(|error| Final(message::writing(&notes, &error)))?;
    }
    let written = receive(response, start, &mut file, part, source.timeout, bar)?;
    match total {
        Some(total) if written < total => {
            Err(Broken(anyhow!("the connection broke after {written} of {total} bytes")))
        }
        Some(total) if written > total => {
            Err(StartOver(anyhow!("the server sent {written} bytes and had announced {total}")))
        }
        _ => file.sync_all().map_err(|error| Final(message::writing(part, &error))),
    }
}

/// What an answer promises.
enum Meaning {
    /// The bytes from `start` on, of `total` in all if that is told.
    Body { start: u64, total: Option<u64> },
    /// All of it is here.
    NothingMore,
}

/// What an answer means to whoever has `have` bytes, and asked for the rest if they are of the version
/// `asked`.
fn meaning(
    response: &Response<ureq::Body>,
    version: &Version,
    asked: Option<&Version>,
    have: u64,
) -> Result<Meaning, Failure> {
    let (status, headers) = (response.status(), response.headers());
    match status {
        StatusCode::OK => Ok(Meaning::Body { start: 0, total: content_length(headers) }),
        StatusCode::PARTIAL_CONTENT if asked.is_some() => match content_range(headers) {
            Some((start, total)) if asked == Some(version) && start == have => {
                Ok(Meaning::Body { start, total })
            }
            _ => Err(StartOver(anyhow!(
                "the server answered with another part or version than was asked for"
            ))),
        },
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let range = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let total = range.and_then(|range| range.strip_prefix("bytes */")?.parse().ok());
            if total == Some(have) {
                Ok(Meaning::NothingMore)
            } else {
                Err(StartOver(anyhow!("the server has fewer bytes than are here")))
            }
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Err(Broken(anyhow!("the server answered {status}")))
        }
        _ if status.is_server_error() => Err(Broken(anyhow!("the server answered {status}"))),
        _ => Err(Final(anyhow!("the server answered {status}").context(
            "this address does not give the archive; give another with --url, or an archive on disk \
             with --from FILE",
        ))),
    }
}

/// Appends the body to the file; gives the file's length.
fn receive(
    response: Response<ureq::Body>,
    start: u64,
    file: &mut File,
    part: &Path,
    timeout: Duration,
    bar: &ProgressBar,
) -> Result<u64, Failure> {
    let headers = response.headers().clone();
    // A server that stops sending would block a read for ever: a thread reads, and is left behind.
    let (send, received) = sync_channel(4);
    std::thread::spawn(move || {
        let mut body = response.into_body().into_reader();
        loop {
            let mut buffer = vec![0; 1 << 16];
            let chunk = body.read(&mut buffer).map(|count| {
                buffer.truncate(count);
                buffer
            });
            let last = chunk.as_ref().map_or(true, Vec::is_empty);
            if send.send(chunk).is_err() || last {
                break;
            }
        }
    });
    let mut written = start;
    loop {
        let chunk = match received.recv_timeout(timeout) {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => {
                return Err(Broken(anyhow!("the connection broke after {written} bytes: {error}")));
            }
            Err(RecvTimeoutError::Timeout) => {
                let seconds = timeout.as_secs_f64();
                return Err(Broken(anyhow!("no byte came for {seconds} s, after {written} bytes")));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(written),
        };
        if written == 0 && is_page(&headers, &chunk) {
            forget(part);
            let text: String = String::from_utf8_lossy(&chunk).chars().take(200).collect();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            return Err(Final(anyhow!(
                "the server sent a web page, not an archive: \"{text}\". Open the address in a browser: it \
                 may ask to log in or to accept something. Then give the archive with --from FILE"
            )));
        }
        if chunk.is_empty() {
            return Ok(written);
        }
        file.write_all(&chunk).map_err(|error| Final(message::writing(part, &error)))?;
        written += chunk.len() as u64;
        bar.set_position(written);
    }
}

fn is_page(headers: &HeaderMap, start: &[u8]) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let start = String::from_utf8_lossy(start).trim_start().to_ascii_lowercase();
    kind.is_some_and(|kind| kind.starts_with("text/html"))
        || start.starts_with("<!doctype")
        || start.starts_with("<html")
}

/// A strong ETag, or the date of the last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    text(header::ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| text(header::LAST_MODIFIED))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The first byte, and the length of the whole if it is told.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn connection(error: ureq::Error) -> Error {
    match error {
        ureq::Error::HostNotFound => anyhow!("no such host, or no network"),
        ureq::Error::Io(error) => anyhow!("no connection: {error}"),
        ureq::Error::Timeout(what) => anyhow!("no answer in time ({what})"),
        other => anyhow!("no connection: {other}"),
    }
}
