//! Records as bytes: a header, a check and a stretch of output.
//!
//! All numbers are little-endian. Header, 12 bytes: check `u32`, ms `u32`, length of what follows `u16`, kind `u8`, a zero.
//! A mark is a record of kind 3 and 24 bytes: block `u64`, bytes of output before it `u64`, blocks of the head `u32`,
//! slots of the tail `u32`. A block begins with a mark; another one follows wherever output was lost.

use super::layout::Layout;

/// Bytes of a block. A record never crosses from one into the next.
pub(super) const BLOCK: u64 = 64 << 10;
/// Bytes of a record's header.
pub(super) const HEADER: usize = 12;
/// Bytes of a mark, its header included.
pub(super) const MARK: usize = HEADER + 24;

/// Blocks of a log at most: 2^60 bytes. Whatever a damaged file claims, offsets stay within 64 bits.
pub(super) const BLOCKS_MAX: u64 = 1 << 44;

const MARK_KIND: u8 = 3;

/// Which of a step's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stream {
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
}

/// What stands at the start of a block, and after a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which block this is.
    pub(super) block: u64,
    /// Bytes of output written before this mark, lost ones included.
    pub(super) total: u64,
    /// How the file is laid out.
    pub(super) layout: Layout,
}

/// A record where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Its logical offset.
    pub(super) at: u64,
    /// What it is.
    pub(super) kind: Kind<'a>,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A mark.
    Mark(Mark),
    /// Output of a step.
    Output { stream: Stream, ms: u32, bytes: &'a [u8] },
}

impl Frame<'_> {
    /// The logical offset after it.
    pub(super) fn end(&self) -> u64 {
        self.at
            + match self.kind {
                Kind::Mark(_) => MARK as u64,
                Kind::Output { bytes, .. } => (HEADER + bytes.len()) as u64,
            }
    }
}

/// The whole records at the front of a stretch of a block; ends before the first that is not whole.
pub(super) struct Frames<'a> {
    bytes: &'a [u8],
    base: u64,
    at: usize,
}

impl<'a> Frames<'a> {
    /// `bytes` stand in the log from offset `base` on.
    pub(super) fn new(bytes: &'a [u8], base: u64) -> Self {
        Self { bytes, base, at: 0 }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let rest = &self.bytes[self.at..];
        let (header, rest) = rest.split_first_chunk::<HEADER>()?;
        let payload = rest.get(..length(header))?;
        let at = self.base + self.at as u64;
        if payload.is_empty() || check(at, header, payload) != header[..4] {
            return None;
        }
        let ms = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let kind = match header[10] {
            1 => Kind::Output { stream: Stream::Stdout, ms, bytes: payload },
            2 => Kind::Output { stream: Stream::Stderr, ms, bytes: payload },
            MARK_KIND => Kind::Mark(Mark::decode(payload)?),
            _ => return None,
        };
        self.at += HEADER + payload.len();
        Some(Frame { at, kind })
    }
}

impl Mark {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (block, rest) = payload.split_first_chunk()?;
        let (total, rest) = rest.split_first_chunk()?;
        let (head, rest) = rest.split_first_chunk()?;
        let slots = rest.try_into().ok()?;
        let block = u64::from_le_bytes(*block);
        (block < BLOCKS_MAX).then_some(())?;
        Some(Self {
            block,
            total: u64::from_le_bytes(*total),
            layout: Layout::new(u32::from_le_bytes(*head), u32::from_le_bytes(slots))?,
        })
    }

    /// Puts it at the end of `buffer`, its check still open.
    pub(super) fn put(self, buffer: &mut Vec<u8>) {
        put_header(buffer, MARK_KIND, 0, (MARK - HEADER) as u16);
        buffer.extend_from_slice(&self.block.to_le_bytes());
        buffer.extend_from_slice(&self.total.to_le_bytes());
        buffer.extend_from_slice(&self.layout.head().to_le_bytes());
        buffer.extend_from_slice(&self.layout.slots().to_le_bytes());
    }
}

/// Begins a record of output at the end of `buffer`, empty as yet and its check open.
pub(super) fn begin(buffer: &mut Vec<u8>, stream: Stream, ms: u32) {
    put_header(buffer, stream as u8, ms, 0);
}

fn put_header(buffer: &mut Vec<u8>, kind: u8, ms: u32, len: u16) {
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&ms.to_le_bytes());
    buffer.extend_from_slice(&len.to_le_bytes());
    buffer.extend_from_slice(&[kind, 0]);
}

/// Lengthens the record at `at`, the last one of `buffer`, by `bytes`. A block's size keeps the length within its 16 bits.
pub(super) fn extend(buffer: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    buffer.extend_from_slice(bytes);
    let len = (buffer.len() - at - HEADER) as u16;
    buffer[at + 8..at + 10].copy_from_slice(&len.to_le_bytes());
}

/// Fills in the checks of all records of `buffer`, which will stand in the log from offset `base` on.
pub(super) fn close(buffer: &mut [u8], base: u64) {
    let mut at = 0;
    while let Some((header, rest)) = buffer[at..].split_first_chunk_mut::<HEADER>() {
        let len = length(header);
        let sum = check(base + at as u64, header, &rest[..len]);
        header[..4].copy_from_slice(&sum);
        at += HEADER + len;
    }
}

fn length(header: &[u8; HEADER]) -> usize {
    usize::from(u16::from_le_bytes([header[8], header[9]]))
}

/// A check of a record at its place: a multiply-and-rotate hash, eight bytes at a time. It is there for accidents (a torn
/// write, what a block held before), not against somebody who writes to our files.
fn check(at: u64, header: &[u8; HEADER], payload: &[u8]) -> [u8; 4] {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(K).rotate_left(29);
    let fields =
        u64::from_le_bytes([header[4], header[5], header[6], header[7], header[8], header[9], header[10], header[11]]);
    let mut sum = mix(mix(K, at), fields);
    let (words, rest) = payload.as_chunks::<8>();
    for word in words {
        sum = mix(sum, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    sum = mix(sum, u64::from_le_bytes(last));
    ((sum ^ sum >> 32) as u32).to_le_bytes()
}
