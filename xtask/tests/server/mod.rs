//! A server on 127.0.0.1 that answers as it is told. It is its own proxy, too.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How to answer.
pub enum Reply {
    /// As it should be: the whole, or the part that is asked for.
    Good,
    /// The whole, whatever is asked for.
    Whole,
    /// So many bytes, then the connection breaks.
    Cut(usize),
    /// The same, without an ETag.
    CutWithoutTag(usize),
    /// So many bytes, then nothing.
    Silence(usize),
    /// A part from elsewhere.
    WrongPart,
    /// The part that is asked for, with another ETag.
    OtherVersion,
    /// Without a length.
    Chunked,
    /// A web page, of such a type.
    Page(&'static str),
    /// No content.
    Status(&'static str),
}

/// The server; it lives until the test ends.
pub struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Option<usize>>>>,
    heads: Arc<Mutex<String>>,
}

impl Server {
    /// Serves one archive. The answer depends on the number of the request and on where it asks to go
    /// on.
    pub fn new(
        archive: Vec<u8>,
        mut reply: impl FnMut(usize, Option<usize>) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, heads) = (Arc::default(), Arc::default());
        let server = Self { port, requests: Arc::clone(&requests), heads: Arc::clone(&heads) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(mut head) = read_head(&stream) else { continue };
                if head.starts_with("CONNECT") {
                    // As a proxy: a tunnel to ourselves.
                    heads.lock().unwrap().push_str(&head);
                    stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
                    let Some(next) = read_head(&stream) else { continue };
                    head = next;
                }
                heads.lock().unwrap().push_str(&head);
                let from = head
                    .to_lowercase()
                    .split_once("range: bytes=")
                    .map(|(_, rest)| rest.split('-').next().unwrap().parse().unwrap());
                let mut requests = requests.lock().unwrap();
                let answer = reply(requests.len(), from);
                requests.push(from);
                drop(requests);
                let archive = archive.clone();
                // A client that has given up is no fault.
                std::thread::spawn(move || send(&mut stream, &archive, from, answer));
            }
        });
        server
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// For each request where it asked to go on.
    pub fn requests(&self) -> Vec<Option<usize>> {
        self.requests.lock().unwrap().clone()
    }

    /// Whether a request's head held the text.
    pub fn saw(&self, text: &str) -> bool {
        self.heads.lock().unwrap().contains(text)
    }
}

fn read_head(stream: &TcpStream) -> Option<String> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn send(stream: &mut TcpStream, archive: &[u8], from: Option<usize>, reply: Reply) -> Option<()> {
    let all = archive.len();
    let mut head = |status: &str, lines: &[String]| {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{lines}\r\n");
        stream.write_all(text.as_bytes()).ok()
    };
    let tag = "ETag: \"one\"".to_owned();
    let whole = format!("Content-Length: {all}");
    let range = |from: usize| format!("Content-Range: bytes {from}-{}/{all}", all - 1);
    let rest = |from: usize| format!("Content-Length: {}", all - from);
    let part = "206 Partial Content";
    match (reply, from) {
        (Reply::Good, Some(from)) if from >= all => {
            let lines = [format!("Content-Range: bytes */{all}"), "Content-Length: 0".into()];
            head("416 Range Not Satisfiable", &lines)
        }
        (Reply::Good, Some(from)) => {
            head(part, &[tag, range(from), rest(from)])?;
            stream.write_all(&archive[from..]).ok()
        }
        (Reply::Good | Reply::Whole, _) => {
            head("200 OK", &[tag, whole])?;
            stream.write_all(archive).ok()
        }
        (Reply::Cut(count), None) => {
            head("200 OK", &[tag, whole])?;
            stream.write_all(&archive[..count]).ok()
        }
        (Reply::Cut(count), Some(from)) => {
            head(part, &[tag, range(from), rest(from)])?;
            stream.write_all(&archive[from..(from + count).min(all)]).ok()
        }
        (Reply::CutWithoutTag(count), _) => {
            head("200 OK", &[whole])?;
            stream.write_all(&archive[..count]).ok()
        }
        (Reply::Silence(count), _) => {
            head("200 OK", &[tag, whole])?;
            stream.write_all(&archive[..count]).ok()?;
            stream.flush().ok()?;
            std::thread::sleep(Duration::from_secs(20));
            None
        }
        (Reply::WrongPart, from) => {
            let other = from.unwrap_or(0) / 2;
            head(part, &[tag, range(other), rest(other)])?;
            stream.write_all(&archive[other..]).ok()
        }
        (Reply::OtherVersion, from) => {
            let from = from.unwrap_or(0);
            head(part, &["ETag: \"two\"".into(), range(from), rest(from)])?;
            stream.write_all(&archive[from..]).ok()
        }
        (Reply::Chunked, _) => {
            head("200 OK", &[tag, "Transfer-Encoding: chunked".into()])?;
            for chunk in archive.chunks(50_000) {
                stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).ok()?;
                stream.write_all(chunk).ok()?;
                stream.write_all(b"\r\n").ok()?;
            }
            stream.write_all(b"0\r\n\r\n").ok()
        }
        (Reply::Page(kind), _) => {
            let page = "<!DOCTYPE html>\n<html><body>Please log in</body></html>";
            let lines =
                [format!("Content-Type: {kind}"), format!("Content-Length: {}", page.len())];
            head("200 OK", &lines)?;
            stream.write_all(page.as_bytes()).ok()
        }
        (Reply::Status(status), _) => head(status, &["Content-Length: 0".into()]),
    }
}
