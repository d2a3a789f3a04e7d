//! What steps said: one file an attempt while it runs, sealed when it is over.
//!
//! A log is a sequence of records, each a stretch of bytes of one stream with its time. While the attempt runs they are
//! appended to a raw file; [`LogWriter::seal`] turns that into a compressed file, or into bytes for the database if they
//! are few. A reader holds no state here: it names a cursor and gets what follows.

use std::path::PathBuf;
use std::sync::Arc;

use crate::id::AttemptKey;
use crate::record::LogPlace;
use crate::{StoreError, StoreLimits};

/// Which of a step's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stream {
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
}

/// The logs of a data directory.
#[derive(Debug)]
pub struct Logs {
    _directory: PathBuf,
}

/// The log of an attempt while it runs. One writer an attempt. Dropping it unsealed leaves the raw file for [`Logs::recover`].
#[derive(Debug)]
pub struct LogWriter {
    _logs: Arc<Logs>,
}

/// A stretch of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it stands: a cursor that names it. Grows along the log, with holes.
    pub cursor: u64,
    /// Which stream.
    pub stream: Stream,
    /// Milliseconds since the attempt's start.
    pub ms: u32,
    /// The bytes, as written.
    pub bytes: Vec<u8>,
}

/// A part of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPage {
    /// Records from the cursor on.
    pub records: Vec<Record>,
    /// Bytes that fell out of the middle just before the first record here (the cap), if the cursor stood before them.
    pub gap: u64,
    /// The cursor to go on from.
    pub next: u64,
    /// Whether the log is sealed and this is its end.
    pub end: bool,
}

impl Logs {
    /// Opens the logs under `directory`, making it if need be.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(directory: PathBuf, _limits: StoreLimits) -> Result<Arc<Self>, StoreError> {
        Ok(Arc::new(Self { _directory: directory }))
    }

    /// Begins the log of one claim of an attempt. No file is made before the first byte.
    pub fn writer(self: &Arc<Self>, _attempt: AttemptKey, _epoch: u32) -> LogWriter {
        LogWriter { _logs: Arc::clone(self) }
    }

    /// Reads on from `cursor` (0 is the start), at most `bytes_max` of payload. Blocking. Works while the attempt runs, and on a sealed
    /// log: `place` says where that is (`None`: not sealed yet).
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(
        &self,
        _attempt: AttemptKey,
        _epoch: u32,
        _place: Option<&LogPlace>,
        _cursor: u64,
        _bytes_max: usize,
    ) -> Result<LogPage, StoreError> {
        Ok(LogPage::default())
    }

    /// The cursor from which about the last `lines` lines follow. Blocking.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn tail(
        &self,
        _attempt: AttemptKey,
        _epoch: u32,
        _place: Option<&LogPlace>,
        _lines: usize,
    ) -> Result<u64, StoreError> {
        Ok(0)
    }
}

impl LogWriter {
    /// Appends. Beyond the cap the middle is dropped, never the head nor the newest. Blocking, page cache only.
    ///
    /// # Errors
    /// The disk refuses (ENOSPC and the like): what came before stays readable.
    pub fn append(&mut self, _stream: Stream, _ms: u32, _bytes: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Ends the log: on disk before it returns. Blocking.
    ///
    /// # Errors
    /// The disk refuses; the raw file stays.
    pub fn seal(self) -> Result<LogPlace, StoreError> {
        Ok(LogPlace::Nowhere)
    }
}
