//! A client that can stop anywhere: bytes out, bytes in.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::bed::LONG;

/// A request in writing, on a connection of its own.
pub(super) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}content-length: {length}\r\n\r\n{body}"
    )
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

/// Sends a request and reads until the server closes.
///
/// # Errors
/// The connection was cut before the answer was whole; or the answer is a refusal, which then has a code.
pub(super) async fn ask(at: SocketAddr, request: &str) -> Result<Told, String> {
    let mut socket = TcpStream::connect(at).await.map_err(|error| error.to_string())?;
    // The server may have cut it before all is sent.
    let _unsent = socket.write_all(request.as_bytes()).await;
    let mut bytes = Vec::new();
    // A reset ends it too; what came before counts.
    let _reset = timeout(LONG, socket.read_to_end(&mut bytes)).await.expect("the server closes");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or("cut before the answer")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    if length.is_some_and(|length| length.parse::<usize>().is_ok_and(|length| body.len() < length)) {
        return Err("cut within the answer".to_owned());
    }
    if status >= 400 {
        assert!(head.contains("application/problem+json"), "a refusal without a type: {text}");
        let problem: serde_json::Value = serde_json::from_str(body).expect("a problem is JSON");
        return Err(problem["code"].as_str().expect("a problem has a code").to_owned());
    }
    Ok(Told { status, head: head.to_owned(), body: body.to_owned() })
}
