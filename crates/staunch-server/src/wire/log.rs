//! What a step said.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which of a step's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A part of the log of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Which begin of it: it grows if a worker was lost and the attempt began anew, with a new log.
    pub epoch: u32,
    /// What was said, in the order it arrived.
    pub records: Vec<LogRecord>,
    /// Bytes that fell out of the middle of the log just before the first record here (the cap on a log's size).
    pub gap: u64,
    /// `cursor` to go on from. Opaque.
    pub next: String,
    /// Whether the attempt is over and this is the end of its log.
    pub end: bool,
}

/// A stretch of output. It need not be a line, nor end with one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogRecord {
    /// A `cursor` that names this place. Opaque.
    pub cursor: String,
    /// Which stream.
    pub stream: LogStream,
    /// Milliseconds since the attempt's start.
    pub ms: u32,
    /// The text; bytes that are not UTF-8 are replaced by U+FFFD.
    pub text: String,
}

impl From<staunch_store::logs::Stream> for LogStream {
    fn from(stream: staunch_store::logs::Stream) -> Self {
        match stream {
            staunch_store::logs::Stream::Stdout => Self::Stdout,
            staunch_store::logs::Stream::Stderr => Self::Stderr,
        }
    }
}
