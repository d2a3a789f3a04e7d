//! Lines out of records.

use super::frame::Stream;
use super::reader::Record;

/// A line of one stream, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where its first byte stands: a cursor that names it.
    pub cursor: u64,
    /// Which stream.
    pub stream: Stream,
    /// Milliseconds since the attempt's start, of its first byte.
    pub ms: u32,
    /// Its bytes without the `\n`, a `\r` left as it is. [`Line::text`] makes them fit for JSON.
    pub bytes: Vec<u8>,
    /// Whether a `\n` ended it. If not, the line was too long and goes on in the next one of this stream, or bytes fell out
    /// here, or it is the last.
    pub ended: bool,
}

impl Line {
    /// As text, invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Turns records, page after page, into lines, each stream for itself.
///
/// A UTF-8 sequence that lies across records or pages stays whole, because a line is given out when it is complete. One
/// too long is cut between sequences. So a replacement character in [`Line::text`] stands for bytes that were not UTF-8, or
/// for a sequence that a gap tore. Holds at most `line_bytes_max` a stream.
///
/// ```
/// use staunch_store::logs::{Lines, Record, Stream};
/// let mut lines = Lines::new(1024);
/// let mut out = Vec::new();
/// for (cursor, bytes) in [(48, &b"gr\xc3"[..]), (63, b"\xbc\xc3\x9fe\nbye")] {
///     let record = Record { cursor, stream: Stream::Stdout, ms: 0, bytes: bytes.to_vec() };
///     lines.push(&record, &mut |line| out.push(line.text()));
/// }
/// lines.finish(&mut |line| out.push(line.text()));
/// assert_eq!(out, ["grüße", "bye"]);
/// ```
#[derive(Debug)]
pub struct Lines {
    line_bytes_max: usize,
    stdout: Option<Begun>,
    stderr: Option<Begun>,
}

/// A line that is not given out yet.
#[derive(Debug)]
struct Begun {
    line: Line,
    /// Where the first byte of its last UTF-8 sequence stands: a cut before it begins the next line there.
    sequence_at: u64,
}

impl Begun {
    fn at(record: &Record, cursor: u64) -> Self {
        let line = Line { cursor, stream: record.stream, ms: record.ms, bytes: Vec::new(), ended: false };
        Self { line, sequence_at: cursor }
    }

    /// Takes in `bytes`, which stand at `cursor`.
    fn extend(&mut self, bytes: &[u8], cursor: u64) {
        self.line.bytes.extend_from_slice(bytes);
        if let Some(lead) = last_lead(bytes) {
            self.sequence_at = cursor + lead as u64;
        }
    }
}

impl Lines {
    /// Lines of at most `line_bytes_max` bytes (at least 4, so that any character fits).
    pub fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max: line_bytes_max.max(4), stdout: None, stderr: None }
    }

    /// Takes in the next record and gives out the lines it completes.
    pub fn push(&mut self, record: &Record, out: &mut dyn FnMut(Line)) {
        let max = self.line_bytes_max;
        let begun = match record.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let mut at = 0;
        while at < record.bytes.len() {
            let cursor = record.cursor + at as u64;
            let line = begun.get_or_insert_with(|| Begun::at(record, cursor));
            let rest = &record.bytes[at..];
            let room = max - line.line.bytes.len();
            // One byte more than fits tells whether the line ends just there.
            if let Some(end) = rest.iter().take(room + 1).position(|byte| *byte == b'\n') {
                line.extend(&rest[..end], cursor);
                line.line.ended = true;
                at += end + 1;
                begun.take().into_iter().for_each(|begun| out(begun.line));
                continue;
            }
            let now = &rest[..rest.len().min(room)];
            line.extend(now, cursor);
            at += now.len();
            if at < record.bytes.len() {
                // Full, and more of it follows.
                let cut = line.line.bytes.split_off(whole_sequences(&line.line.bytes));
                let next_at = if cut.is_empty() { record.cursor + at as u64 } else { line.sequence_at };
                let mut next = Begun::at(record, next_at);
                next.line.bytes = cut;
                begun.replace(next).into_iter().for_each(|begun| out(begun.line));
            }
        }
    }

    /// Bytes fell out here: what was begun is given out as far as it goes.
    pub fn gap(&mut self, out: &mut dyn FnMut(Line)) {
        let mut begun = [self.stdout.take(), self.stderr.take()].map(|begun| begun.map(|begun| begun.line));
        begun.sort_by_key(|line| line.as_ref().map(|line| line.cursor));
        begun.into_iter().flatten().filter(|line| !line.bytes.is_empty()).for_each(out);
    }

    /// The log is over: its last lines, if no `\n` ended them.
    pub fn finish(mut self, out: &mut dyn FnMut(Line)) {
        self.gap(out);
    }

    /// Where the earliest line that is begun and not given out stands. Who must forget this `Lines` between two pages
    /// reads on from there instead of the page's `next`, and loses nothing.
    pub fn begun_at(&self) -> Option<u64> {
        self.stdout.iter().chain(&self.stderr).map(|begun| begun.line.cursor).min()
    }
}

/// The last byte that begins a UTF-8 sequence (or is one by itself, or is invalid).
fn last_lead(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|byte| byte & 0xc0 != 0x80)
}

/// How many of `bytes` are left if a UTF-8 sequence that is cut off at the end is left out; all, if that were nothing.
fn whole_sequences(bytes: &[u8]) -> usize {
    let Some(lead) = last_lead(bytes) else { return bytes.len() };
    let len = match bytes[lead] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if lead > 0 && lead + len > bytes.len() { lead } else { bytes.len() }
}
