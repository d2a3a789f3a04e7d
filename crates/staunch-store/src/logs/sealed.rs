//! The file of a log that is over: zstd in the seekable format.
//!
//! The blocks that were kept, one after another, each but the last filled up with zeros, four to a frame of 256 KiB. In
//! front stands a skippable frame that says which blocks fell out, at the end the seek table of the
//! [seekable format](https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md),
//! so `zstd -dc` reads it as well.

use std::fs::File;
use std::io::{self, Write};

use crate::fault::at;

use super::frame::{BLOCK, BLOCKS_MAX, Frames};
use super::layout::Kept;
use super::raw::{read_up_to, starts_block};

const BLOCKS_PER_FRAME: u64 = 4;
const FRAME: usize = (BLOCKS_PER_FRAME * BLOCK) as usize;
const LEVEL: i32 = 3;
/// A skippable frame of ours: magic, length, name, hole (from, to), blocks.
const PREFACE: usize = 8 + 8 + 3 * 8;
const PREFACE_MAGIC: u32 = 0x184d_2a57;
const PREFACE_NAME: &[u8; 8] = b"staunch1";
const TABLE_MAGIC: u32 = 0x184d_2a5e;
const FOOTER: usize = 9;
const FOOTER_MAGIC: u32 = 0x8f92_eab1;
/// Entries of the seek table that are read at once.
const ENTRIES: usize = 256;

/// Writes the sealed form of a log to `out`, block by block as `load` gives them, and says how many bytes that took.
///
/// # Errors
/// `out` or `load` fails.
pub(super) fn write(
    out: &mut impl Write,
    kept: &Kept,
    mut load: impl FnMut(u64, &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<u64> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    out.write_all(&preface(kept))?;
    let mut table = vec![(PREFACE as u32, 0)];
    let mut bytes = PREFACE as u64;
    let mut plain = Vec::new();
    let mut packed = Vec::with_capacity(zstd::zstd_safe::compress_bound(FRAME));
    let mut block = kept.at_or_after(0);
    while let Some(this) = block {
        let from = plain.len();
        if plain.capacity() == 0 {
            plain.reserve_exact(FRAME);
        }
        load(this, &mut plain)?;
        plain.truncate(from + whole(&plain[from..], this));
        block = kept.at_or_after(this + 1);
        if block.is_some() {
            plain.resize(from + BLOCK as usize, 0);
        }
        if plain.len() == FRAME || block.is_none() {
            packed.clear();
            at("log.compress", || compressor.compress_to_buffer(&plain, &mut packed))?;
            out.write_all(&packed)?;
            table.push((packed.len() as u32, plain.len() as u32));
            bytes += packed.len() as u64;
            plain.clear();
        }
    }
    let table = seek_table(&table);
    out.write_all(&table)?;
    Ok(bytes + table.len() as u64)
}

/// How much of a block is whole records.
fn whole(bytes: &[u8], block: u64) -> usize {
    if !starts_block(bytes, block) {
        return 0;
    }
    let base = block * BLOCK;
    Frames::new(bytes, base).last().map_or(0, |frame| (frame.end() - base) as usize)
}

fn preface(kept: &Kept) -> Vec<u8> {
    let mut preface = Vec::with_capacity(PREFACE);
    preface.extend_from_slice(&PREFACE_MAGIC.to_le_bytes());
    preface.extend_from_slice(&(PREFACE as u32 - 8).to_le_bytes());
    preface.extend_from_slice(PREFACE_NAME);
    for number in [kept.hole.start, kept.hole.end, kept.count] {
        preface.extend_from_slice(&number.to_le_bytes());
    }
    preface
}

fn seek_table(frames: &[(u32, u32)]) -> Vec<u8> {
    let mut table = Vec::with_capacity(8 + frames.len() * 8 + FOOTER);
    table.extend_from_slice(&TABLE_MAGIC.to_le_bytes());
    table.extend_from_slice(&((frames.len() * 8 + FOOTER) as u32).to_le_bytes());
    for (packed, plain) in frames {
        table.extend_from_slice(&packed.to_le_bytes());
        table.extend_from_slice(&plain.to_le_bytes());
    }
    table.extend_from_slice(&(frames.len() as u32).to_le_bytes());
    table.push(0);
    table.extend_from_slice(&FOOTER_MAGIC.to_le_bytes());
    table
}

/// A sealed file, open for reading. Holds one frame at a time: 256 KiB, and while it is unpacked its packed form.
#[derive(Debug)]
pub(super) struct SealedFile {
    file: File,
    kept: Kept,
    /// Where the entries of the seek table begin, and how many there are.
    table: (u64, u64),
    /// The frame in `plain`, by its number in the seek table; 0 is the preface and stands for none.
    frame: u64,
    plain: Vec<u8>,
}

impl SealedFile {
    /// Reads where things are.
    ///
    /// # Errors
    /// The file cannot be read, or is not a sealed log ([`io::ErrorKind::InvalidData`]).
    pub(super) fn open(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let mut preface = [0; PREFACE];
        let mut footer = [0; FOOTER];
        let at = len.checked_sub(FOOTER as u64).ok_or_else(damaged)?;
        if read_up_to(&file, &mut preface, 0)? < PREFACE || read_up_to(&file, &mut footer, at)? < FOOTER {
            return Err(damaged());
        }
        let word = |bytes: &[u8], at: usize| bytes[at..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        let long = |at: usize| preface[at..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        let entries = u64::from(word(&footer, 0));
        let table = at.checked_sub(entries * 8).ok_or_else(damaged)?;
        let kept = Kept { hole: long(16)..long(24), count: long(32) };
        let sane = word(&preface, 0) == PREFACE_MAGIC
            && preface[8..16] == *PREFACE_NAME
            && word(&footer, 5) == FOOTER_MAGIC
            && footer[4] == 0
            && kept.count <= BLOCKS_MAX
            && kept.hole.start <= kept.hole.end
            && kept.hole.end <= BLOCKS_MAX
            && kept.hole.end <= kept.count.max(kept.hole.start)
            && kept.len().div_ceil(BLOCKS_PER_FRAME) + 1 == entries;
        if !sane {
            return Err(damaged());
        }
        Ok(Self { file, kept, table: (table, entries), frame: 0, plain: Vec::new() })
    }

    /// Which blocks it holds.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// A block's bytes, or `None` if it did not survive to be sealed.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub(super) fn load(&mut self, block: u64) -> io::Result<Option<&[u8]>> {
        let index = self.kept.index(block);
        let frame = index / BLOCKS_PER_FRAME + 1;
        if frame != self.frame {
            self.unpack(frame)?;
        }
        let from = ((index % BLOCKS_PER_FRAME * BLOCK) as usize).min(self.plain.len());
        let to = (from + BLOCK as usize).min(self.plain.len());
        Ok(Some(&self.plain[from..to]).filter(|bytes| starts_block(bytes, block)))
    }

    fn unpack(&mut self, frame: u64) -> io::Result<()> {
        self.frame = 0;
        let (offset, packed) = self.find(frame)?;
        // A frame of 256 KiB is never packed into more than this, whoever wrote the table.
        if packed as usize > zstd::zstd_safe::compress_bound(FRAME) {
            return Err(damaged());
        }
        let mut bytes = vec![0; packed as usize];
        if read_up_to(&self.file, &mut bytes, offset)? < bytes.len() {
            return Err(damaged());
        }
        self.plain.clear();
        self.plain.reserve_exact(FRAME);
        at("log.unpack", || zstd::bulk::Decompressor::new()?.decompress_to_buffer(&bytes, &mut self.plain))?;
        self.frame = frame;
        Ok(())
    }

    /// Where a frame begins and how long it is packed. The table is read through a small window, however long it is.
    fn find(&self, frame: u64) -> io::Result<(u64, u32)> {
        let (table, entries) = self.table;
        let mut window = [0; ENTRIES * 8];
        let (mut offset, mut number) = (0u64, 0u64);
        while number < entries {
            let len = ((entries - number) as usize).min(ENTRIES) * 8;
            if read_up_to(&self.file, &mut window[..len], table + number * 8)? < len {
                break;
            }
            for entry in window[..len].as_chunks::<8>().0 {
                let packed = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
                if number == frame {
                    return Ok((offset, packed));
                }
                offset += u64::from(packed);
                number += 1;
            }
        }
        Err(damaged())
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a sealed log, or a damaged one")
}
