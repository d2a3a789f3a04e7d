//! The log of an attempt while it runs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::StoreError;
use crate::fault::at;
use crate::record::LogPlace;

use super::directory::{Place, disk_error};
use super::frame::{self, BLOCK, Frames, HEADER, MARK, Mark, Stream};
use super::raw::RawFile;

/// A buffer that holds no more than this is kept between flushes.
const SMALL: usize = 4 << 10;

/// The log of an attempt while it runs. One writer an attempt. Dropping it unsealed leaves the raw file for
/// [`Logs::recover`](super::Logs::recover).
///
/// Small appends gather in a buffer of at most 64 KiB; neighbors of one stream become one record, with the time of the
/// first. Readers see what was flushed: when a block is full, or when [`LogWriter::flush`] is called. Killed at any
/// moment, the process loses only what was not flushed.
#[derive(Debug)]
pub struct LogWriter {
    place: Place,
    file: Option<Arc<File>>,
    /// Bytes of the file.
    file_len: u64,
    /// Records that are not written yet, all of one block.
    buffer: Vec<u8>,
    /// The logical offset of the buffer's first byte.
    start: u64,
    /// The last record in the buffer, if more of the same stream may still go into it.
    open: Option<(usize, Stream)>,
    /// Bytes appended, lost ones included.
    total: u64,
    /// Bytes were lost and no mark says so yet. The buffer is empty then.
    lost: bool,
    /// The first refusal of the disk has been reported.
    reported: bool,
}

impl LogWriter {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            file: None,
            file_len: 0,
            buffer: Vec::new(),
            start: 0,
            open: None,
            total: 0,
            lost: false,
            reported: false,
        }
    }

    /// Appends. Beyond the cap the middle is dropped, never the head nor the newest. Blocking, page cache only; one system
    /// call a block of 64 KiB, none while the buffer has room.
    ///
    /// # Errors
    /// The disk refuses (ENOSPC and the like). Said once: what came before stays readable, and once the disk has room
    /// again the log goes on, with a gap of exactly the bytes that were lost.
    pub fn append(&mut self, stream: Stream, ms: u32, bytes: &[u8]) -> Result<(), StoreError> {
        let mut result = Ok(());
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.record_for(stream, ms, rest.len()).min(rest.len()));
            if let Some((at, _)) = self.open {
                frame::extend(&mut self.buffer, at, now);
            }
            self.total += now.len() as u64;
            rest = later;
            if self.block_room() <= HEADER {
                result = result.and(self.write_buffer());
            }
        }
        result
    }

    /// Makes everything appended so far visible to readers and safe from the death of this process. Blocking, page cache
    /// only; one system call, none if there is nothing to do. To be called when the step's pipes are drained.
    ///
    /// # Errors
    /// As [`LogWriter::append`].
    pub fn flush(&mut self) -> Result<(), StoreError> {
        let flushed = self.write_buffer();
        self.buffer.shrink_to(SMALL);
        flushed
    }

    /// Ends the log: on disk before it returns, except for an inline one, which the caller puts into the database.
    /// Blocking. Cursors stay valid.
    ///
    /// # Errors
    /// The disk refuses; the raw file stays, for [`Logs::recover`](super::Logs::recover).
    pub fn seal(mut self) -> Result<LogPlace, StoreError> {
        if self.total == 0 {
            return Ok(LogPlace::Nowhere);
        }
        self.say_loss();
        frame::close(&mut self.buffer, self.start);
        let sealed = self.seal_as_fits();
        if sealed.is_ok() {
            self.buffer.clear();
        }
        sealed.map_err(|e| disk_error("seal a log", &e))
    }

    fn seal_as_fits(&self) -> io::Result<LogPlace> {
        let end = self.start + self.buffer.len() as u64;
        let kept = self.place.logs.layout().kept(end.div_ceil(BLOCK));
        let mut raw = match &self.file {
            Some(file) => RawFile::open(Arc::clone(file), Some(Arc::clone(&self.place.live)))?,
            None => None,
        };
        // A block as it would be if the buffer had been flushed.
        let mut load = |block: u64, into: &mut Vec<u8>| {
            let from = into.len();
            if let Some(bytes) = raw.as_mut().map_or(Ok(None), |raw| raw.load(block))? {
                into.extend_from_slice(bytes);
            }
            if !self.buffer.is_empty() && block == self.start / BLOCK {
                into.resize(from + (self.start % BLOCK) as usize, 0);
                into.extend_from_slice(&self.buffer);
            }
            Ok(())
        };
        let place = if end <= self.place.logs.inline_bytes_max() && kept.hole.is_empty() {
            let mut bytes = Vec::with_capacity(end as usize);
            for block in 0..kept.count {
                bytes.resize((block * BLOCK) as usize, 0);
                load(block, &mut bytes)?;
            }
            LogPlace::Inline(bytes)
        } else {
            LogPlace::File { bytes: self.place.logs.write_sealed(self.place.name, &kept, load)? }
        };
        if self.file.is_some() {
            self.place.logs.remove_raw(self.place.name)?;
        }
        Ok(place)
    }

    /// Sees to an open record of `stream` at the end of the buffer and says how many bytes still fit into it.
    fn record_for(&mut self, stream: Stream, ms: u32, wanted: usize) -> usize {
        self.say_loss();
        let full = HEADER + MARK + wanted + self.buffer.len();
        if full > self.buffer.capacity() {
            // By hand, as doubling would go beyond a block.
            let target = if full <= SMALL { SMALL } else { BLOCK as usize };
            self.buffer.reserve_exact(target.saturating_sub(self.buffer.len()));
        }
        if self.start.is_multiple_of(BLOCK) && self.buffer.is_empty() {
            self.put_mark();
        }
        if self.open.is_none_or(|(_, open)| open != stream) {
            self.open = Some((self.buffer.len(), stream));
            frame::begin(&mut self.buffer, stream, ms);
        }
        self.block_room()
    }

    /// Bytes until the block is full; 0 at its end, not at the start of the next.
    fn block_room(&self) -> usize {
        let block_start = self.start / BLOCK * BLOCK;
        (block_start + BLOCK - self.start) as usize - self.buffer.len()
    }

    /// Puts a mark where bytes were lost, in the next block if this one has no room for it.
    fn say_loss(&mut self) {
        if std::mem::take(&mut self.lost) {
            if self.block_room() <= MARK + HEADER {
                self.start = (self.start / BLOCK + 1) * BLOCK;
            }
            self.put_mark();
        }
    }

    fn put_mark(&mut self) {
        let mark = Mark { block: self.start / BLOCK, total: self.total, layout: self.place.logs.layout() };
        mark.put(&mut self.buffer);
        self.open = None;
    }

    /// Empties the buffer into the file, or loses what the disk refuses to take. An error is reported the first time only.
    fn write_buffer(&mut self) -> Result<(), StoreError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        frame::close(&mut self.buffer, self.start);
        let mut written = 0;
        let result = self.write_into_file(&mut written);
        self.start = match result {
            Ok(()) => self.start + self.buffer.len() as u64,
            // The whole records of what went in stay; the rest is overwritten by what comes next.
            Err(_) => Frames::new(&self.buffer[..written], self.start).last().map_or(self.start, |frame| frame.end()),
        };
        self.place.live.publish(self.start);
        self.buffer.clear();
        self.open = None;
        match result {
            Ok(()) => {
                if self.block_room() <= HEADER {
                    self.start = (self.start / BLOCK + 1) * BLOCK;
                }
                Ok(())
            }
            Err(e) => {
                self.lost = true;
                if std::mem::replace(&mut self.reported, true) { Ok(()) } else { Err(disk_error("write a log", &e)) }
            }
        }
    }

    fn write_into_file(&mut self, written: &mut usize) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(Arc::new(self.place.logs.make_raw(self.place.name)?))),
        };
        let layout = self.place.logs.layout();
        let block = self.start / BLOCK;
        if let Some(overwritten) = block.checked_sub(u64::from(layout.slots())) {
            self.place.live.give_up_before(overwritten + 1);
        }
        let offset = layout.physical(block) * BLOCK + self.start % BLOCK;
        while *written < self.buffer.len() {
            let admitted = self.place.logs.admit(&self.buffer[*written..]);
            match admitted.and_then(|bytes| at("log.write", || file.write_at(bytes, offset + *written as u64))) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => *written += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            let len = offset + *written as u64;
            if let Some(more) = len.checked_sub(self.file_len) {
                self.place.logs.count_added(more);
                self.file_len = len;
            }
        }
        Ok(())
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        // Not sealed: what was said so far is for whoever recovers it.
        if let Err(error) = self.write_buffer() {
            tracing::warn!(%error, "the end of a log that nobody seals is lost");
        }
    }
}
