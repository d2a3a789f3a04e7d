//! A client: one request a connection, or a live stream.

use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::join;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::bed::LONG;

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// It is a problem with this status and code, whole and consistent.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!((self.status, problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        problem
    }
}

/// Sends a request and takes the answer.
pub(crate) async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let (mut sender, connection) = handshake(TokioIo::new(TcpStream::connect(address).await.unwrap())).await.unwrap();
    let mut request = http::Request::builder().method(method).uri(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let exchange = async move {
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    };
    timeout(LONG, join(exchange, connection)).await.expect("an answer comes").0
}

/// Sends bytes as they are, and reads until the server closes.
pub(crate) async fn converse(address: SocketAddr, sent: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // The server may have refused and closed before all is sent.
    let _unsent = socket.write_all(sent).await;
    read_all(&mut socket).await
}

/// What comes until the server closes; a reset counts as that.
pub(crate) async fn read_all(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buf = [0; 4096];
    while let Ok(n @ 1..) = timeout(LONG, socket.read(&mut buf)).await.expect("the server closes") {
        bytes.extend_from_slice(&buf[..n]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) body: Value,
}

/// A live stream.
pub(crate) struct Live {
    connection: Pin<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
    body: Incoming,
    text: Vec<u8>,
    over: bool,
}

impl Live {
    /// Opens one, after an id if there is one; a problem instead is an error.
    pub(crate) async fn open(address: SocketAddr, topics: &str, after: Option<&str>) -> Result<Self, Answer> {
        Self::open_as(address, topics, after, &[]).await
    }

    /// As [`Live::open`], with further headers.
    pub(crate) async fn open_as(
        address: SocketAddr,
        topics: &str,
        after: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Self, Answer> {
        let (mut sender, connection) =
            handshake(TokioIo::new(TcpStream::connect(address).await.unwrap())).await.unwrap();
        let mut request =
            http::Request::builder().uri(format!("/api/v1/events?topics={topics}")).header("host", "localhost");
        for (name, value) in after.map(|after| ("last-event-id", after)).iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let mut connection = Box::pin(connection);
        let (head, mut body) = {
            let answer = sender.send_request(request);
            let both = async {
                tokio::select! { answer = answer => answer.unwrap(), _ = connection.as_mut() => panic!("closed") }
            };
            timeout(LONG, both).await.expect("an answer comes").into_parts()
        };
        // Without a sender the connection ends with its answer.
        drop(sender);
        if head.status != 200 {
            let collected = async { tokio::join!(body_of(&mut body), connection.as_mut()).0 };
            let bytes = timeout(LONG, collected).await.unwrap();
            return Err(Answer { status: head.status.as_u16(), headers: head.headers, body: bytes });
        }
        assert_eq!(head.headers["content-type"], "text/event-stream");
        assert_eq!(head.headers["cache-control"], "no-store");
        Ok(Self { connection, body, text: Vec::new(), over: false })
    }

    /// The next event; `None` when the server closed.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(event) = parse(std::str::from_utf8(&block).unwrap()) {
                    return Some(event);
                }
                continue;
            }
            if self.over {
                return None;
            }
            let chunk = async {
                let Self { connection, body, .. } = self;
                tokio::select! {
                    biased;
                    frame = body.frame() => frame,
                    _ = connection.as_mut() => body.frame().await,
                }
            };
            match timeout(LONG, chunk).await.expect("something comes") {
                Some(Ok(frame)) => self.text.extend_from_slice(&frame.into_data().unwrap()),
                _ => self.over = true,
            }
        }
    }

    /// Events up to the first that `is` the one, included.
    pub(crate) async fn until(&mut self, is: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the stream closed after {events:#?}"));
            let last = is(&event);
            events.push(event);
            if last {
                return events;
            }
        }
    }

    /// All events to the end, which is one.
    pub(crate) async fn rest(&mut self) -> Vec<Event> {
        let events = self.until(|event| event.name == "end").await;
        assert_eq!(self.next().await, None, "nothing follows the end");
        events
    }
}

/// The text that the log events of a step carry.
pub(crate) fn text(events: &[Event], step: &str) -> String {
    let logs = events.iter().filter(|event| event.name == "log" && event.body["step"] == step);
    logs.map(|event| event.body["text"].as_str().unwrap()).collect()
}

/// The names of events, logs left out.
pub(crate) fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).filter(|name| *name != "log").collect()
}

async fn body_of(body: &mut Incoming) -> Bytes {
    body.collect().await.unwrap().to_bytes()
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    let body = serde_json::from_str(field("data: ")?).unwrap();
    Some(Event { name: field("event: ").unwrap().to_owned(), id: field("id: ").unwrap().to_owned(), body })
}
