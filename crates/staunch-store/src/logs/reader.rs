//! Reading a log from a cursor.

use std::io::{self, Write};

use crate::StoreError;
use crate::id::AttemptKey;
use crate::record::LogPlace;

use super::directory::{Logs, disk_error};
use super::frame::{BLOCK, Frame, Frames, HEADER, Kind, Stream};
use super::name::LogName;
use super::source::Source;

/// What a record costs a page besides its bytes: the record itself, twice as the list doubles, and its place on the heap.
pub(super) const RECORD_COST: usize = 2 * size_of::<Record>() + 16;

/// A stretch of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where its first byte stands: a cursor that names it; each further byte is one on. Grows along the log, with holes.
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
    /// Bytes that fell out of the middle just before the first record here (the cap, or a full disk), if the cursor stood
    /// before them. Exact, but for a reader that was overtaken: where the bytes at its cursor fell out while it read
    /// them, the size of their records' frames is counted along (12 bytes a record, 36 a block).
    pub gap: u64,
    /// The cursor to go on from.
    pub next: u64,
    /// Whether the log is sealed and this is its end.
    pub end: bool,
}

/// What a walk along a log comes by.
enum Piece<'a> {
    /// Bytes fell out here.
    Gap(u64),
    /// A stretch of output.
    Output { cursor: u64, stream: Stream, ms: u32, bytes: &'a [u8] },
}

/// How much of a piece was taken. The walk ends unless it was all of it.
enum Taken {
    All,
    Bytes(usize),
    Nothing,
}

impl Logs {
    /// Reads on from `cursor` (0 is the start), at most `bytes_max` of payload (at least one byte), less if the records
    /// are small and many. Blocking. Works while the attempt runs, and on a sealed log: `place` says where that is (`None`:
    /// not sealed yet, or by [`Logs::recover`]). An unsealed log that has just been sealed into the database reads as
    /// empty: ask the store where it is now.
    ///
    /// Any number is a valid cursor: one inside a record reads on inside it. Holds no more than `bytes_max` and a block of
    /// 64 KiB; for a sealed file 320 KiB more while a frame is unpacked.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(
        &self,
        attempt: AttemptKey,
        epoch: u32,
        place: Option<&LogPlace>,
        cursor: u64,
        bytes_max: usize,
    ) -> Result<LogPage, StoreError> {
        let mut source = self.source(LogName { attempt, epoch }, place)?;
        let final_form = place.is_some() || matches!(source, Source::Sealed(_));
        let mut page = LogPage::default();
        let mut room = bytes_max.max(1);
        let walked = walk(&mut source, cursor, &mut |piece| match piece {
            Piece::Gap(_) if !page.records.is_empty() => Taken::Nothing,
            Piece::Gap(bytes) => {
                page.gap += bytes;
                Taken::All
            }
            Piece::Output { cursor, stream, ms, bytes } => {
                if !page.records.is_empty() {
                    room = room.saturating_sub(RECORD_COST);
                }
                let fits = fitting(bytes, room);
                if fits == 0 {
                    return Taken::Nothing;
                }
                room -= fits;
                page.records.push(Record { cursor, stream, ms, bytes: bytes[..fits].to_vec() });
                if fits == bytes.len() { Taken::All } else { Taken::Bytes(fits) }
            }
        });
        let (next, reached_end) = walked.map_err(|e| disk_error("read a log", &e))?;
        page.next = next;
        page.end = final_form && reached_end;
        Ok(page)
    }

    /// The cursor from which about the last `lines` lines follow, both streams counted; 0 lines is the end. Blocking.
    /// Holds one block, as [`Logs::read`].
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn tail(
        &self,
        attempt: AttemptKey,
        epoch: u32,
        place: Option<&LogPlace>,
        lines: usize,
    ) -> Result<u64, StoreError> {
        let mut source = self.source(LogName { attempt, epoch }, place)?;
        find_tail(&mut source, lines).map_err(|e| disk_error("read a log", &e))
    }

    /// Writes the whole log to `out`, raw, of one stream or of both as they came; where bytes fell out, a line
    /// `[... N bytes left out ...]` stands. Says how many bytes of output it wrote. Blocking. Holds one block, as
    /// [`Logs::read`].
    ///
    /// # Errors
    /// The file cannot be read, or `out` fails.
    pub fn copy_to(
        &self,
        attempt: AttemptKey,
        epoch: u32,
        place: Option<&LogPlace>,
        only: Option<Stream>,
        out: &mut dyn Write,
    ) -> Result<u64, StoreError> {
        let mut source = self.source(LogName { attempt, epoch }, place)?;
        let mut copied = 0;
        let mut failed = None;
        let walked = walk(&mut source, 0, &mut |piece| {
            let written = match piece {
                Piece::Gap(bytes) => writeln!(out, "\n[... {bytes} bytes left out ...]"),
                Piece::Output { stream, .. } if only.is_some_and(|only| only != stream) => Ok(()),
                Piece::Output { bytes, .. } => {
                    copied += bytes.len() as u64;
                    out.write_all(bytes)
                }
            };
            failed = written.err();
            if failed.is_none() { Taken::All } else { Taken::Nothing }
        });
        match walked.err().or(failed) {
            Some(e) => Err(disk_error("copy a log", &e)),
            None => Ok(copied),
        }
    }
}

/// How many of `bytes` go into `room`. A cut does not go through a UTF-8 sequence, unless that would mean no progress.
fn fitting(bytes: &[u8], room: usize) -> usize {
    if bytes.len() <= room {
        return bytes.len();
    }
    let boundary = |at: &usize| bytes[*at] & 0xc0 != 0x80;
    (room.saturating_sub(3)..=room).rev().find(boundary).filter(|at| *at > 0).unwrap_or(room)
}

/// Goes along a log from `cursor` on, until `visit` takes less than all of a piece. Says where to go on, and whether the
/// end was reached.
fn walk(source: &mut Source<'_>, cursor: u64, visit: &mut dyn FnMut(Piece<'_>) -> Taken) -> io::Result<(u64, bool)> {
    let kept = source.kept();
    let mut walk = Walk { cursor, before: (cursor == 0).then_some(0), visit };
    // From the block of the byte before the cursor, to know how many bytes were written before the cursor.
    let mut block = kept.at_or_after(cursor.saturating_sub(1) / BLOCK);
    while let Some(this) = block {
        let bytes = source.load(this)?.unwrap_or_default();
        for frame in Frames::new(bytes, this * BLOCK) {
            if !walk.step(&frame) {
                return Ok((walk.cursor, false));
            }
        }
        block = kept.at_or_after(this + 1);
    }
    Ok((walk.cursor, true))
}

struct Walk<'a> {
    /// All before it has been visited.
    cursor: u64,
    /// Bytes of output written before the frame at hand, or before the cursor if that is later; not known at first.
    before: Option<u64>,
    visit: &'a mut dyn FnMut(Piece<'_>) -> Taken,
}

impl Walk<'_> {
    /// Visits what of `frame` is not before the cursor. Whether to go on.
    fn step(&mut self, frame: &Frame<'_>) -> bool {
        let passed = frame.end() <= self.cursor;
        match frame.kind {
            Kind::Mark(mark) => {
                // Without a count, the cursor stands in a block that is gone: the gap is the way from there to here.
                let gap = match self.before {
                    Some(before) => mark.total.saturating_sub(before),
                    None => frame.at.saturating_sub(self.cursor),
                };
                if !passed && gap > 0 && !matches!((self.visit)(Piece::Gap(gap)), Taken::All) {
                    return false;
                }
                self.before = Some(mark.total);
            }
            Kind::Output { stream, ms, bytes } => {
                self.before = self.before.map(|before| before + bytes.len() as u64);
                if passed {
                    return true;
                }
                let payload_at = frame.at + HEADER as u64;
                let seen = self.cursor.saturating_sub(payload_at) as usize;
                let cursor = payload_at + seen as u64;
                match (self.visit)(Piece::Output { cursor, stream, ms, bytes: &bytes[seen..] }) {
                    Taken::All => {}
                    Taken::Bytes(n) => {
                        self.cursor = payload_at + (seen + n) as u64;
                        return false;
                    }
                    Taken::Nothing => return false,
                }
            }
        }
        self.cursor = self.cursor.max(frame.end());
        true
    }
}

/// Goes back from the end, block by block, until enough line ends were seen.
fn find_tail(source: &mut Source<'_>, lines: usize) -> io::Result<u64> {
    let kept = source.kept();
    let mut wanted = lines;
    let mut at_end = true;
    let mut block = kept.before(kept.count);
    while let Some(this) = block {
        let bytes = source.load(this)?.unwrap_or_default();
        let base = this * BLOCK;
        let mut spots = Vec::new();
        for frame in Frames::new(bytes, base) {
            if let Kind::Output { bytes: payload, .. } = frame.kind {
                // Within a block, so 16 bits are enough for both.
                spots.push(((frame.at - base) as u16, payload.len() as u16));
            }
        }
        for (at, len) in spots.into_iter().rev() {
            let start = usize::from(at) + HEADER;
            let payload = &bytes[start..start + usize::from(len)];
            if wanted == 0 {
                return Ok(base + (start + payload.len()) as u64);
            }
            // The line end that ends the log ends its last line and begins none.
            let searched = if at_end { payload.strip_suffix(b"\n").unwrap_or(payload) } else { payload };
            at_end = false;
            for (i, _) in searched.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
                wanted -= 1;
                if wanted == 0 {
                    return Ok(base + (start + i + 1) as u64);
                }
            }
        }
        block = kept.before(this);
    }
    Ok(0)
}
