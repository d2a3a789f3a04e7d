//! Events on their way to the socket, as the event-stream format has them (WHATWG HTML §9.2.6).

use std::fmt::Write;

use bytes::Bytes;
use serde::Serialize;

use super::topic::Mark;

/// What will be written next, and the places of all topics after it.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    marks: Vec<Mark>,
    bytes_max: usize,
}

impl Page {
    /// An empty page of about `bytes_max` bytes, where the topics stand at `marks`.
    pub(super) fn new(marks: Vec<Mark>, bytes_max: usize) -> Self {
        Self { text: String::new(), marks, bytes_max }
    }

    /// A topic has moved on without anything to say.
    pub(super) fn mark(&mut self, topic: usize, mark: Mark) {
        self.marks[topic] = mark;
    }

    /// Says something; `topic` stands at `mark` after it.
    pub(super) fn event(&mut self, name: &str, topic: usize, mark: Mark, body: &impl Serialize) {
        self.mark(topic, mark);
        self.say(name, body);
    }

    /// Says something that is of no topic.
    pub(super) fn say(&mut self, name: &str, body: &impl Serialize) {
        // JSON has no raw line breaks, so it is one `data` line; names are ours and have none either. Writing into a String
        // cannot fail, and our types always serialise.
        let body = serde_json::to_string(body).unwrap_or_default();
        let _ = write!(self.text, "event: {name}\nid: ");
        for (i, mark) in self.marks.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let _ = write!(self.text, "{comma}{mark}");
        }
        let _ = write!(self.text, "\ndata: {body}\n\n");
    }

    /// Shows that the connection lives.
    pub(super) fn ping(&mut self) {
        self.text.push_str(": ping\n\n");
    }

    /// How long a client shall wait before it comes again, in milliseconds.
    pub(super) fn retry(&mut self, ms: u32) {
        let _ = write!(self.text, "retry: {ms}\n\n");
    }

    /// Whether it is to be written before more is put in.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= self.bytes_max
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The bytes; the page is empty then, and holds no memory.
    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.text).into()
    }
}
