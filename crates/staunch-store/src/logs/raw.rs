//! The file of a log that is not sealed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fault::at;

use super::frame::{BLOCK, Frames, Kind, MARK, Mark};
use super::layout::{Kept, Layout};

/// What a writer tells its readers.
#[derive(Debug, Default)]
pub(super) struct Live {
    end: AtomicU64,
    floor: AtomicU64,
}

impl Live {
    /// All records before the logical offset `end` are in the file. Release: a reader that sees it sees the file so.
    pub(super) fn publish(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// The end of what is published. Relaxed: whoever goes on to read looks again there.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    /// Blocks of the tail before `floor` are about to be overwritten. SeqCst, and a system call follows before the file
    /// changes: whoever reads changed bytes and then asks for the floor gets this one.
    pub(super) fn give_up_before(&self, floor: u64) {
        self.floor.store(floor, Ordering::SeqCst);
    }
}

/// A raw file, open for reading.
#[derive(Debug)]
pub(super) struct RawFile {
    file: Arc<File>,
    live: Option<Arc<Live>>,
    layout: Layout,
    kept: Kept,
    end: u64,
    buffer: Vec<u8>,
}

impl RawFile {
    /// A raw file and what its writer says about it. Without a writer, the end is found in the file itself.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn open(file: Arc<File>, live: Option<Arc<Live>>) -> io::Result<Option<Self>> {
        let Some(first) = read_mark(&file, 0)?.filter(|mark| mark.block == 0) else {
            return Ok(None);
        };
        let layout = first.layout;
        let (count, end) = match &live {
            Some(live) => {
                let end = live.end.load(Ordering::Acquire);
                (end.div_ceil(BLOCK), end)
            }
            None => {
                let count = count_blocks(&file, layout)?;
                (count, count * BLOCK)
            }
        };
        Ok(Some(Self { file, live, layout, kept: layout.kept(count), end, buffer: Vec::new() }))
    }

    /// Which blocks it holds.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// A block's bytes, or `None` if it is gone.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn load(&mut self, block: u64) -> io::Result<Option<&[u8]>> {
        let len = self.end.saturating_sub(block * BLOCK).min(BLOCK) as usize;
        self.buffer.resize(len, 0);
        let len = read_up_to(&self.file, &mut self.buffer, self.layout.physical(block) * BLOCK)?;
        self.buffer.truncate(len);
        // The checks would find an overwritten block out as well, but for one in 2^32; the floor leaves no chance at all.
        let gone = block >= u64::from(self.layout.head())
            && self.live.as_ref().is_some_and(|live| block < live.floor.load(Ordering::SeqCst));
        Ok((!gone && starts_block(&self.buffer, block)).then_some(&self.buffer))
    }
}

/// Whether `bytes` begin with the mark of `block`.
pub(super) fn starts_block(bytes: &[u8], block: u64) -> bool {
    matches!(
        Frames::new(bytes, block * BLOCK).next().map(|frame| frame.kind),
        Some(Kind::Mark(mark)) if mark.block == block
    )
}

/// Fills `buffer` from `offset` on as far as the file goes, and says how far that was.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match at("log.read", || file.read_at(&mut buffer[done..], offset + done as u64)) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// The mark at the start of the place `physical` (in blocks), if a block of the log lies there.
fn read_mark(file: &File, physical: u64) -> io::Result<Option<Mark>> {
    let mut bytes = [0; MARK];
    let len = read_up_to(file, &mut bytes, physical * BLOCK)?;
    // The check covers the logical offset, which the mark itself names: read that first, then believe it if it fits.
    let Some(named) = bytes[MARK - 24..].first_chunk().map(|block| u64::from_le_bytes(*block)) else {
        return Ok(None);
    };
    let Some(base) = named.checked_mul(BLOCK) else { return Ok(None) };
    Ok(match Frames::new(&bytes[..len], base).next().map(|frame| frame.kind) {
        Some(Kind::Mark(mark)) if mark.block == named && mark.layout.physical(named) == physical => Some(mark),
        _ => None,
    })
}

/// How many blocks the log of a file had: one more than the newest that is whole enough to have a mark.
fn count_blocks(file: &File, layout: Layout) -> io::Result<u64> {
    let places = file.metadata()?.len().div_ceil(BLOCK).min(u64::from(layout.head()) + u64::from(layout.slots()));
    let mut count = 0;
    for physical in 0..places {
        if let Some(mark) = read_mark(file, physical)? {
            count = count.max(mark.block + 1);
        }
    }
    Ok(count)
}
