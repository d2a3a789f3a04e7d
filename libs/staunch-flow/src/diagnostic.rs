//! What is wrong with a workflow file, where, and what would mend it.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
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

/// Characters of a source line that the renderer is given before and after the start of the marked place. It shows the
/// 140 around the place; the rest, perhaps a megabyte of it, it need not see.
const BEFORE_CHARS: usize = 300;
const AFTER_CHARS: usize = 300;

impl Diagnostic {
    /// Renders it for a terminal: `error[code]: message`, the place, a snippet of `text` with the span marked, and the
    /// help. `text` is the file's text; where it is not (invalid UTF-8 replaced, another version), the snippet may be
    /// off but nothing worse happens. Only the span's first line is shown, and of a long line only the part around it.
    pub fn render(&self, file: &str, text: &str, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let file = printable(file);
        let window = Window::of(text, self.span);
        let snippet = Snippet::source(window.shown)
            .path(file.as_str())
            .line_start(self.span.line.max(1))
            .annotation(AnnotationKind::Primary.span(window.start..window.end));
        let mut group = level.primary_title(printable(&self.message)).id(self.code).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let rendered = renderer.render(&[group]);
        match window.cut_chars {
            0 => rendered,
            // The renderer counted columns in the part it was given.
            cut => {
                let place = |column: usize| format!("{file}:{}:{column}", self.span.line.max(1));
                rendered.replacen(&place(self.span.column.saturating_sub(cut) + 1), &place(self.span.column), 1)
            }
        }
    }
}

/// The part of a line that is shown, and the marked bytes in it.
struct Window {
    shown: String,
    start: usize,
    end: usize,
    /// Characters that were cut off the line's start.
    cut_chars: usize,
}

impl Window {
    fn of(text: &str, span: Span) -> Self {
        let start = floor_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_boundary(text, span.end).clamp(start, line_end.max(start));

        let left = text[line_start..start]
            .char_indices()
            .rev()
            .nth(BEFORE_CHARS - 1)
            .map_or(line_start, |(at, _)| line_start + at);
        let right = text[start..line_end].char_indices().nth(AFTER_CHARS).map_or(line_end, |(at, _)| start + at);
        let end = end.min(right);
        let before = printable_line(&text[left..start]);
        let marked = printable_line(&text[start..end]);
        let after = printable_line(&text[end..right]);
        let cut_left = if left > line_start { "…" } else { "" };
        let cut_right = if right < line_end { "…" } else { "" };
        let start = cut_left.len() + before.len();
        // An empty place (the end of a line or of the file) is marked by one caret: a space stands for it.
        let end = start + marked.len().max(usize::from(after.is_empty() && marked.is_empty()));
        let pad = if marked.is_empty() && after.is_empty() { " " } else { "" };
        let cut_chars = text[line_start..left].chars().count();
        Self { shown: format!("{cut_left}{before}{marked}{after}{pad}{cut_right}"), start, end, cut_chars }
    }
}

/// The largest character boundary at or below `at`, within the text.
fn floor_boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// Whether a terminal would do something else with it than show it: move its cursor, or turn the direction of writing,
/// so that a file could make a diagnostic say what it does not say.
fn is_active(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line of the file as it can be shown.
fn printable_line(part: &str) -> String {
    part.chars().filter(|c| *c != '\r').map(|c| if is_active(c) && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A message as it can be shown: parts of it come from the file.
fn printable(text: &str) -> String {
    text.chars().map(|c| if is_active(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Declares the codes once, as constants and as the table of the manual.
macro_rules! codes {
    ($($name:ident = $word:literal, $meaning:literal;)*) => {
        /// The stable words of [`Diagnostic::code`].
        pub(crate) mod code {
            $(#[doc = $meaning] pub(crate) const $name: &str = $word;)*
        }
        /// Every code a diagnostic can carry, with its meaning, in alphabetical order.
        pub const CODES: &[(&str, &str)] = &[$(($word, $meaning)),*];
    };
}

codes! {
    EXPRESSION = "bad_expression", "A `${{ }}` is not closed or does not parse.";
    BINARY = "binary_file", "The file holds a NUL byte or is UTF-16: it is not a text in UTF-8.";
    CYCLE = "cycle", "Steps need each other in a circle; the message prints the path.";
    DUPLICATE_ID = "duplicate_id", "Two steps have the same id, or two inputs the same environment variable.";
    DUPLICATE_KEY = "duplicate_key", "A mapping has the same key twice, perhaps in two spellings.";
    DUPLICATE_NEED = "duplicate_need", "Warning: `needs:` names a step twice.";
    EMPTY = "empty_file", "The file holds nothing but space and comments.";
    EXPRESSION_IN_RUN = "expression_in_run", "A `${{ }}` in a script: values reach scripts through `env:` only, so that no value can become code.";
    EXPRESSION_HERE = "expression_not_allowed", "A `${{ }}` stands where values are taken literally.";
    INVALID_ID = "invalid_id", "An id or a name has a character that it must not have, is empty or too long.";
    INVALID_VALUE = "invalid_value", "The type is right, but the value is not: out of range, malformed, none of the choices.";
    MISSING_KEY = "missing_key", "A key that must be there is not.";
    NEEDLESS_REQUIRED = "needless_required", "Warning: an input is `required` and has a default.";
    NOT_ANCESTOR = "not_before", "Warning: an expression reads a step that is not sure to be over by then.";
    NOT_SUPPORTED = "not_supported_yet", "The key or name is part of the language, but this version does not know it yet.";
    NOT_UTF8 = "not_utf8", "The file is not valid UTF-8.";
    RESERVED = "reserved_name", "The environment variable is set by Staunch itself.";
    SELF_NEED = "self_need", "A step needs itself.";
    SEVERAL_DOCUMENTS = "several_documents", "The file holds more than one YAML document.";
    SYNTAX = "syntax", "The file is not valid YAML.";
    TOO_BIG = "too_big", "A bound of the file is exceeded: bytes, nodes, depth, aliases, steps, the length of a value.";
    TOO_MANY = "too_many_diagnostics", "There is more to say than is said.";
    UNKNOWN_INPUT = "unknown_input", "An expression names an input that is not declared.";
    UNKNOWN_KEY = "unknown_key", "No such key here.";
    UNKNOWN_NAME = "unknown_name", "An expression uses a name that nothing defines.";
    UNKNOWN_STEP = "unknown_step", "`needs:` or an expression names a step that is not there.";
    TAG = "unsupported_tag", "A YAML tag other than `!!str`.";
    WRONG_TYPE = "wrong_type", "The value has another type than the key wants.";
}

#[cfg(test)]
mod tests;
