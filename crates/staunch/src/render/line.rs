//! Cuts a stream of bytes into lines.

/// A line longer than this is shown in pieces, so that a step without line ends cannot fill the memory. In bytes.
const LINE_BYTES_MAX: usize = 16 << 10;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    part: Vec<u8>,
}

impl Lines {
    /// Takes bytes in and hands every finished line out, without its end.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let room = LINE_BYTES_MAX - self.part.len();
            let take = end.unwrap_or(bytes.len()).min(room);
            self.part.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            let ended = bytes.first() == Some(&b'\n');
            if ended {
                bytes = &bytes[1..];
            }
            if ended || self.part.len() == LINE_BYTES_MAX {
                line(&self.part);
                self.part.clear();
            }
        }
    }

    /// Hands out what has no line end, at the end of the stream.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.part.is_empty() {
            line(&self.part);
        }
        self.part = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let mut take = |line: &[u8]| seen.push(String::from_utf8_lossy(line).into_owned());
        pieces.iter().for_each(|piece| lines.push(piece, &mut take));
        lines.finish(&mut take);
        seen
    }

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_arrive() {
        assert_eq!(lines(&[b"one\ntwo\n\nlast"]), ["one", "two", "", "last"]);
        assert_eq!(lines(&[b"o", b"ne\nt", b"wo\n", b"\nla", b"st"]), ["one", "two", "", "last"]);
        assert_eq!(lines(&[b"", b"\n"]), [""]);
    }

    #[test]
    fn a_line_without_end_below_at_and_over_its_bound() {
        for (length, pieces) in [
            (LINE_BYTES_MAX - 1, vec![LINE_BYTES_MAX - 1]),
            (LINE_BYTES_MAX, vec![LINE_BYTES_MAX]),
            (LINE_BYTES_MAX + 1, vec![LINE_BYTES_MAX, 1]),
        ] {
            let seen = lines(&[&vec![b'x'; length]]);
            assert_eq!(seen.iter().map(String::len).collect::<Vec<_>>(), pieces);
        }
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; 10 * LINE_BYTES_MAX + 5], |_| {});
        assert_eq!(lines.part.len(), 5);
        lines.finish(|_| {});
        assert_eq!(lines.part.capacity(), 0);
    }
}
