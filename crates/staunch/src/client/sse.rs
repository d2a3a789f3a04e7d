//! Reads a stream of server-sent events (WHATWG HTML §9.2).

use std::io::{self, BufRead};

/// A line of a stream is not longer than this, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// The name of what is no event but a comment alone: the server says that it is there.
pub(super) const PING: &str = ":";

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its name; `message` if the stream gives none.
    pub(super) event: String,
    /// What it says.
    pub(super) data: String,
    /// The last id the stream gave: where to go on from.
    pub(super) id: Option<String>,
}

/// A stream that is read event by event.
pub(super) struct Frames<R> {
    input: R,
    id: Option<String>,
}

impl<R: BufRead> Frames<R> {
    /// Of a body.
    pub(super) fn new(input: R) -> Self {
        Self { input, id: None }
    }

    /// The next event; `None` at the end of the stream. An event that the stream's end cuts off is dropped, as the standard
    /// says: it comes again after a reconnect.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut frame = Frame::default();
        let (mut lines, mut pinged) = (0, false);
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            if line.is_empty() {
                if lines == 0 && !pinged {
                    // No data: nothing to dispatch, but the name is forgotten.
                    frame = Frame::default();
                    continue;
                }
                if lines == 0 {
                    return Ok(Some(Frame { event: PING.to_owned(), ..Frame::default() }));
                }
                frame.id.clone_from(&self.id);
                if frame.event.is_empty() {
                    frame.event.push_str("message");
                }
                return Ok(Some(frame));
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut frame.event),
                "data" => {
                    if lines > 0 {
                        frame.data.push('\n');
                    }
                    if frame.data.len() + value.len() > LINE_BYTES_MAX as usize {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, "an event of the stream is too large"));
                    }
                    frame.data.push_str(value);
                    lines += 1;
                }
                "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
                "" => pinged = true,
                // `retry` and fields to come.
                _ => {}
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let read = io::Read::take(&mut self.input, LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read as u64 == LINE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of the stream is too long"));
        }
        if line.pop() != Some(b'\n') {
            return Ok(None);
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(text: &str) -> Vec<Frame> {
        let mut frames = Frames::new(text.as_bytes());
        std::iter::from_fn(|| frames.next().expect("readable")).collect()
    }

    fn frame(event: &str, data: &str, id: Option<&str>) -> Frame {
        Frame { event: event.to_owned(), data: data.to_owned(), id: id.map(str::to_owned) }
    }

    #[test]
    fn events_with_names_ids_and_several_lines() {
        let text =
            ": ping\n\nevent: log\nid: 1-2\ndata: a\ndata:b\n\ndata\n\nretry: 10\n\nevent: end\r\ndata: {}\r\n\r\n";
        let expected = [
            frame(PING, "", None),
            frame("log", "a\nb", Some("1-2")),
            frame("message", "", Some("1-2")),
            frame("end", "{}", Some("1-2")),
        ];
        assert_eq!(frames(text), expected);
    }

    #[test]
    fn an_event_that_is_cut_off_is_not_one() {
        assert_eq!(frames("data: a\n\ndata: b\n"), [frame("message", "a", None)]);
        assert_eq!(frames("data: a"), []);
    }

    #[test]
    fn a_name_without_data_is_forgotten() {
        assert_eq!(frames("event: log\n\ndata: a\n\n"), [frame("message", "a", None)]);
    }

    #[test]
    fn a_line_or_an_event_without_end_is_refused() {
        let long = vec![b'x'; LINE_BYTES_MAX as usize + 1];
        assert!(Frames::new(long.as_slice()).next().is_err());
        let lines = format!("data: {}\n", "x".repeat(1000)).repeat(2000);
        assert!(Frames::new(lines.as_bytes()).next().is_err());
    }
}
