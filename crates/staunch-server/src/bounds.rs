//! Bounds of the HTTP face that no configuration changes. Counts and bytes that an operator may change stand in the
//! engine's one table of limits.

use std::time::Duration;

/// Bytes of a request's line and headers; more is answered with 431.
pub(crate) const HEAD_BYTES_MAX: usize = 16 << 10;
/// Headers of a request; more is answered with 431.
pub(crate) const HEADERS_MAX: usize = 64;
/// What a connection buffers in each direction, in bytes.
pub(crate) const CONNECTION_BUFFER_BYTES: usize = 32 << 10;
/// Bytes of a JSON body. Inputs reach steps through the environment, where the kernel takes 128 KiB a string.
pub(crate) const JSON_BYTES_MAX: usize = 256 << 10;
/// Bytes of a JSON body with credentials: names and passwords are short.
pub(crate) const CREDENTIALS_BYTES_MAX: usize = 8 << 10;
/// Bytes of a form: the longest of ours has two passwords of 256 bytes, each of which may be three characters once it is encoded.
pub(crate) const FORM_BYTES_MAX: usize = 8 << 10;
/// Rows of a page, at most.
pub(crate) const PAGE_ROWS_MAX: u32 = 200;
/// Rows of a page, if nobody says.
pub(crate) const PAGE_ROWS: u32 = 50;
/// Bytes of a page of runs or events; the page ends early beyond.
pub(crate) const PAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes of output in a page of a log, at most. JSON may need six bytes for one.
pub(crate) const LOG_PAGE_BYTES_MAX: u32 = 256 << 10;
/// Bytes of output in a page of a log, if nobody says.
pub(crate) const LOG_PAGE_BYTES: u32 = 64 << 10;
/// Bytes of output read at once for a live stream. Records may be as short as a byte, so this also bounds their number.
pub(crate) const STREAM_READ_BYTES: usize = 16 << 10;
/// Lines that `tail` may ask for.
pub(crate) const TAIL_LINES_MAX: u32 = 10_000;
/// Bytes of `stdout` and `stderr` that one run's detail shows in all; the rest is in the logs.
pub(crate) const DETAIL_RESULTS_BYTES_MAX: u64 = 1 << 20;
/// Reads of logs, parses and large answers in work at once; others wait for their turn.
pub(crate) const READS_MAX: usize = 8;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// From a connection's accept, or the end of its last answer, to the end of the next request's headers.
    pub(crate) head: Duration,
    /// From the first to the last byte of a request's body.
    pub(crate) body: Duration,
    /// From a request's headers to the answer's headers.
    pub(crate) answer: Duration,
    /// How long a client may leave what it was sent unread.
    pub(crate) stall: Duration,
    /// How long open connections have to finish at a stop.
    pub(crate) drain: Duration,
    /// How long to wait before accepting again when the process has no file descriptor left.
    pub(crate) accept_pause: Duration,
    /// A live stream with nothing to say says so this often.
    pub(crate) ping: Duration,
    /// A busy live stream is written this often.
    pub(crate) pace: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            answer: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(5),
            accept_pause: Duration::from_millis(100),
            ping: Duration::from_secs(15),
            pace: Duration::from_millis(50),
        }
    }
}
