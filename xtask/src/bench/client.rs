//! A small HTTP/1.1 client with keep-alive, so that what is measured is the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// One connection.
pub(super) struct Client {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

/// An answer, read to its end.
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// The body.
    pub(super) body: String,
}

impl Answer {
    /// The body as JSON; an error that shows the body unless the status is 2xx.
    pub(super) fn json(&self) -> Result<Value> {
        ensure!((200..300).contains(&self.status), "the server answered {}: {}", self.status, self.body);
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

impl Client {
    /// Connects.
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    /// Asks and reads the answer.
    pub(super) fn get(&mut self, path: &str) -> Result<Answer> {
        self.ask("GET", path, "")
    }

    /// Sends JSON and reads the answer.
    pub(super) fn post(&mut self, path: &str, body: &str) -> Result<Answer> {
        self.ask("POST", path, body)
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let content = match body.len() {
            0 => String::new(),
            length => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
        };
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n{content}\r\n{body}", self.address);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (status, length) = self.head()?;
        let body = match length {
            Length::Bytes(bytes) => {
                let mut body = vec![0; bytes];
                self.stream.read_exact(&mut body)?;
                body
            }
            Length::Chunked => {
                let mut body = Vec::new();
                while let Some(chunk) = self.chunk()? {
                    body.extend(chunk);
                }
                body
            }
        };
        Ok(Answer { status, body: String::from_utf8(body).context("the answer is not text")? })
    }

    /// Begins an event stream: its lines come from [`Events::line`].
    pub(super) fn events(mut self, path: &str) -> Result<Events> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n", self.address);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (status, length) = self.head()?;
        if status != 200 || !matches!(length, Length::Chunked) {
            bail!("no event stream at {path}: the server answered {status}");
        }
        Ok(Events { client: self, rest: String::new() })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the server closed the connection");
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn head(&mut self) -> Result<(u16, Length)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("not a status line: {line:?}"))?;
        let mut length = Length::Bytes(0);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':') {
                None => return Ok((status, length)),
                Some(("content-length", value)) => length = Length::Bytes(value.trim().parse()?),
                Some(("transfer-encoding", value)) if value.trim() == "chunked" => length = Length::Chunked,
                Some(_) => {}
            }
        }
    }

    fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let length = usize::from_str_radix(line.trim(), 16).with_context(|| format!("not a chunk: {line:?}"))?;
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk)?;
        chunk.truncate(length);
        Ok((length > 0).then_some(chunk))
    }
}

/// How long a body is.
enum Length {
    Bytes(usize),
    Chunked,
}

/// An event stream that is open.
pub(super) struct Events {
    client: Client,
    rest: String,
}

impl Events {
    /// The next line, however it was chunked; `None` if the server ended the stream.
    pub(super) fn line(&mut self) -> Result<Option<String>> {
        loop {
            if let Some((line, rest)) = self.rest.split_once('\n') {
                let line = line.trim_end_matches('\r').to_owned();
                self.rest = rest.to_owned();
                return Ok(Some(line));
            }
            let Some(chunk) = self.client.chunk()? else { return Ok(None) };
            self.rest += std::str::from_utf8(&chunk).context("the stream is not text")?;
        }
    }
}
