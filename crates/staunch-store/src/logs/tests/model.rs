//! What the tests share: a directory of logs, and readers that read all.

use std::path::Path;
use std::sync::Arc;

use staunch_flow::StepIndex;
use tempfile::TempDir;
use uuid::Uuid;

use crate::id::{AttemptKey, RunId};
use crate::logs::{LogPage, Logs, Stream};
use crate::{LogPlace, StoreLimits};

pub(super) struct Fixture {
    pub(super) directory: TempDir,
    pub(super) logs: Arc<Logs>,
}

pub(super) fn limits(log_bytes_max: u64, log_inline_bytes_max: usize) -> StoreLimits {
    StoreLimits {
        runs_open_max: 1,
        writes_queued_max: 1,
        writer_cache_kib: 1,
        reader_cache_kib: 1,
        events_per_run_max: 1,
        revision_bytes_max: 1,
        log_bytes_max,
        log_inline_bytes_max,
        disk_free_bytes_min: 0,
        idempotency_seconds: 1,
    }
}

/// Logs with a cap and a bound for inline ones, both in bytes.
pub(super) fn fixture(log_bytes_max: u64, log_inline_bytes_max: usize) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let logs = Logs::open(directory.path().join("logs"), limits(log_bytes_max, log_inline_bytes_max)).unwrap();
    Fixture { directory, logs }
}

pub(super) fn key(n: u128) -> AttemptKey {
    AttemptKey { run: RunId(Uuid::from_u128(n)), step: StepIndex(3), attempt: 1 }
}

/// Everything a log gives to a reader that takes `bytes_max` at a time: stretches, gaps, and whether it ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Neighbors of one stream put together, a gap as `Err`.
    pub(super) pieces: Vec<Result<(Stream, Vec<u8>), u64>>,
    pub(super) end: bool,
    pub(super) next: u64,
}

impl Heard {
    pub(super) fn take(&mut self, page: LogPage, cursor: u64) {
        if page.gap > 0 {
            self.pieces.push(Err(page.gap));
        }
        let mut last = cursor;
        for record in page.records {
            assert!(record.cursor >= last, "cursors grow");
            last = record.cursor + record.bytes.len() as u64;
            match self.pieces.last_mut() {
                Some(Ok((stream, bytes))) if *stream == record.stream => bytes.extend(record.bytes),
                _ => self.pieces.push(Ok((record.stream, record.bytes))),
            }
        }
        assert!(page.next >= last, "the next page begins after this one");
        self.end = page.end;
        self.next = page.next;
    }

    pub(super) fn bytes(&self, stream: Stream) -> Vec<u8> {
        self.pieces.iter().flatten().filter(|(of, _)| *of == stream).flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    pub(super) fn gaps(&self) -> Vec<u64> {
        self.pieces.iter().filter_map(|piece| piece.as_ref().err().copied()).collect()
    }
}

pub(super) fn hear(logs: &Logs, key: AttemptKey, place: Option<&LogPlace>, from: u64, bytes_max: usize) -> Heard {
    let mut heard = Heard { next: from, ..Heard::default() };
    loop {
        let at = heard.next;
        let page = logs.read(key, 1, place, at, bytes_max).unwrap();
        assert!(page.records.iter().map(|r| r.bytes.len()).sum::<usize>() <= bytes_max.max(1));
        let over = page.records.is_empty() && page.gap == 0;
        heard.take(page, at);
        if over || heard.end {
            return heard;
        }
    }
}

/// All files below, relative, with their lengths.
pub(super) fn files(directory: &Path) -> Vec<(String, u64)> {
    fn visit(directory: &Path, into: &mut Vec<(String, u64)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let len = entry.metadata().unwrap();
            if len.is_dir() {
                visit(&entry.path(), into);
            } else {
                into.push((entry.file_name().into_string().unwrap(), len.len()));
            }
        }
    }
    let mut all = Vec::new();
    visit(directory, &mut all);
    all.sort();
    all
}

/// Bytes that differ along the way, so that a misplaced one is seen.
pub(super) fn pattern(from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}
