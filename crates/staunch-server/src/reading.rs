//! Reading logs, a page at a time, on threads that may block.

use staunch_flow::StepIndex;
use staunch_store::logs::{LogPage, Record, Stream};
use staunch_store::{AttemptKey, LogPlace, RunId, StoreError};

use crate::app::App;
use crate::cursor::LogCursor;
use crate::problem::Refusal;
use crate::steps::Begun;
use crate::text::Stitch;

/// Where the log of one claim of an attempt is.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    key: AttemptKey,
    epoch: u32,
    place: Option<LogPlace>,
}

/// A stretch of text of one stream and one millisecond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it starts.
    pub(crate) from: LogCursor,
    /// Where to go on after it.
    pub(crate) to: LogCursor,
    /// Which stream.
    pub(crate) stream: Stream,
    /// Milliseconds since the attempt's start.
    pub(crate) ms: u32,
    /// The text.
    pub(crate) text: String,
}

/// Stretches of text, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// The text.
    pub(crate) pieces: Vec<Piece>,
    /// Bytes left out before the first.
    pub(crate) gap: u64,
    /// Where to go on.
    pub(crate) next: LogCursor,
    /// Whether the log ends here.
    pub(crate) end: bool,
}

/// A piece comes of at most this many bytes: what is put onto a page at once, even where JSON needs six bytes for one.
const PIECE_BYTES_MAX: usize = 4 << 10;

impl Source {
    /// The log of an attempt; bytes that lie in the database are fetched.
    pub(crate) async fn of(app: &App, run: RunId, step: StepIndex, begun: &Begun) -> Result<Self, StoreError> {
        let key = AttemptKey { run, step, attempt: begun.attempt };
        let place = match &begun.place {
            Some(LogPlace::Inline(_)) => match app.engine.store().inline_log(key).await? {
                Some(bytes) => Some(LogPlace::Inline(bytes)),
                None => Some(LogPlace::Nowhere),
            },
            other => other.clone(),
        };
        Ok(Self { key, epoch: begun.epoch, place })
    }

    /// The bytes from a cursor on.
    pub(crate) async fn read(&self, app: &App, at: u64, bytes_max: usize) -> Result<LogPage, Refusal> {
        let (source, logs) = (self.clone(), app.engine.logs().clone());
        let read = move || logs.read(source.key, source.epoch, source.place.as_ref(), at, bytes_max);
        Ok(app.blocking(read).await??)
    }

    /// The text from a cursor on.
    pub(crate) async fn pieces(&self, app: &App, from: LogCursor, bytes_max: usize) -> Result<Pieces, Refusal> {
        let (source, logs) = (self.clone(), app.engine.logs().clone());
        let read = move || {
            let page = logs.read(source.key, source.epoch, source.place.as_ref(), from.at, bytes_max)?;
            Ok::<_, StoreError>(stitch(&page, from))
        };
        Ok(app.blocking(read).await??)
    }

    /// The cursor from which about the last `lines` lines follow.
    pub(crate) async fn tail(&self, app: &App, lines: usize) -> Result<u64, Refusal> {
        let (source, logs) = (self.clone(), app.engine.logs().clone());
        let tail = move || logs.tail(source.key, source.epoch, source.place.as_ref(), lines);
        Ok(app.blocking(tail).await??)
    }
}

/// Text out of the records of a page that was read from `from`.
pub(crate) fn stitch(page: &LogPage, from: LogCursor) -> Pieces {
    let mut out = Pieces { gap: page.gap, end: page.end, ..Pieces::default() };
    let mut at = from;
    if page.gap > 0 {
        // What was begun before the gap will never be complete.
        at.stitch = Stitch::default();
    }
    for (i, record) in page.records.iter().enumerate() {
        let after = page.records.get(i + 1).map_or(page.next, |next| next.cursor);
        let mut left = record.bytes.len();
        at.at = record.cursor;
        for bytes in record.bytes.chunks(PIECE_BYTES_MAX) {
            let from = at;
            left -= bytes.len();
            // Each byte of a record is one on; the next record stands further.
            at.at = if left == 0 { after } else { at.at + bytes.len() as u64 };
            let fits = |last: &&mut Piece| {
                (last.stream, last.ms) == (record.stream, record.ms) && last.text.len() + bytes.len() <= PIECE_BYTES_MAX
            };
            if let Some(last) = out.pieces.last_mut().filter(fits) {
                at.stitch.push(record.stream, bytes, &mut last.text);
                last.to = at;
                continue;
            }
            let mut text = String::new();
            at.stitch.push(record.stream, bytes, &mut text);
            if !text.is_empty() {
                out.pieces.push(Piece { from, to: at, stream: record.stream, ms: record.ms, text });
            }
        }
    }
    at.at = page.next;
    if page.end {
        finish(page.records.last(), &mut at, &mut out.pieces);
    }
    out.next = at;
    out
}

/// A log that ends within a character says so.
fn finish(last: Option<&Record>, at: &mut LogCursor, pieces: &mut Vec<Piece>) {
    for stream in [Stream::Stdout, Stream::Stderr] {
        let (from, mut text) = (*at, String::new());
        at.stitch.flush(stream, &mut text);
        if !text.is_empty() {
            pieces.push(Piece { from, to: *at, stream, ms: last.map_or(0, |record| record.ms), text });
        }
    }
    // The cursors of the pieces before lead here too, so that nothing is said twice after a resume.
    if let Some(piece) = pieces.last_mut() {
        piece.to = *at;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn record(cursor: u64, stream: Stream, ms: u32, bytes: &[u8]) -> Record {
        Record { cursor, stream, ms, bytes: bytes.to_vec() }
    }

    #[test]
    fn neighbours_of_one_stream_and_time_are_one_piece() {
        let records = vec![
            record(0, Stream::Stdout, 1, b"a"),
            record(5, Stream::Stdout, 1, b"b"),
            record(9, Stream::Stderr, 1, b"c"),
            record(12, Stream::Stderr, 2, b"d"),
        ];
        let page = LogPage { records, gap: 0, next: 20, end: false };
        let pieces = stitch(&page, LogCursor::start(1, 1)).pieces;
        let seen: Vec<_> = pieces.iter().map(|p| (p.from.at, p.to.at, p.text.as_str())).collect();
        assert_eq!(seen, [(0, 9, "ab"), (9, 12, "c"), (12, 20, "d")]);
    }

    #[test]
    fn a_long_record_is_several_pieces_each_with_its_place() {
        let bytes = "€".repeat(5_000).into_bytes();
        let page = LogPage { records: vec![record(100, Stream::Stdout, 1, &bytes)], gap: 0, next: 20_000, end: false };
        let pieces = stitch(&page, LogCursor::start(1, 1)).pieces;
        assert_eq!(pieces.iter().map(|piece| piece.text.as_str()).collect::<String>().into_bytes(), bytes);
        assert!(pieces.len() == 4 && pieces.iter().all(|piece| piece.text.len() <= PIECE_BYTES_MAX + 3));
        for (one, two) in pieces.iter().zip(&pieces[1..]) {
            assert_eq!(one.to, two.from);
            // Reading on from there, as a client that was cut does, brings the rest.
            let rest = record(two.from.at, Stream::Stdout, 1, &bytes[(two.from.at - 100) as usize..]);
            let rest = LogPage { records: vec![rest], gap: 0, next: 20_000, end: false };
            assert_eq!(stitch(&rest, two.from).pieces[0].text, two.text);
        }
        assert_eq!(pieces[3].to.at, 20_000);
    }

    #[test]
    fn a_character_split_between_pages_is_carried_by_the_cursor() {
        let euro = "€".as_bytes();
        let first = LogPage { records: vec![record(0, Stream::Stdout, 1, &euro[..2])], gap: 0, next: 7, end: false };
        let one = stitch(&first, LogCursor::start(1, 1));
        assert!(one.pieces.is_empty());
        let resumed: LogCursor = one.next.to_string().parse().unwrap();
        let second = LogPage { records: vec![record(7, Stream::Stdout, 1, &euro[2..])], gap: 0, next: 9, end: true };
        assert_eq!(stitch(&second, resumed).pieces[0].text, "€");
    }

    #[test]
    fn a_gap_and_an_end_break_what_was_begun() {
        let mut from = LogCursor::start(1, 1);
        from.stitch.push(Stream::Stdout, &"€".as_bytes()[..2], &mut String::new());
        let page = LogPage { records: vec![record(50, Stream::Stdout, 1, b"x")], gap: 40, next: 60, end: false };
        assert_eq!(stitch(&page, from).pieces[0].text, "x");
        let end = stitch(&LogPage { next: 60, end: true, ..LogPage::default() }, from);
        assert_eq!(end.pieces[0].text, "\u{fffd}");
        assert_eq!(end.next.stitch, Stitch::default());
    }
}
