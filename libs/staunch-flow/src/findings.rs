//! The diagnostics of one file while they are gathered: capped, placed, suggested for.

use crate::diagnostic::{Diagnostic, Severity, Span, code};
use crate::limits::{COMPARISONS_MAX, DIAGNOSTICS_MAX};

/// A byte range of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    /// The first byte.
    pub(crate) start: usize,
    /// After the last byte.
    pub(crate) end: usize,
}

/// Gathers what there is to say about one text.
pub(crate) struct Findings<'t> {
    text: &'t str,
    /// Where each line starts.
    lines: Vec<usize>,
    list: Vec<Diagnostic>,
    errors: usize,
    beyond: usize,
    comparisons_left: usize,
}

impl<'t> Findings<'t> {
    /// Nothing to say about this text so far.
    pub(crate) fn new(text: &'t str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines, list: Vec::new(), errors: 0, beyond: 0, comparisons_left: COMPARISONS_MAX }
    }

    /// The text they are about.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// Whether there was an error, even one beyond the cap.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether nothing more will be shown, only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= DIAGNOSTICS_MAX && self.list.iter().all(|said| said.severity == Severity::Error)
    }

    /// Says an error.
    pub(crate) fn error(&mut self, code: &'static str, at: At, message: impl Into<String>) {
        self.say(Severity::Error, code, at, message.into(), None);
    }

    /// Says an error and its mend.
    pub(crate) fn error_help(
        &mut self,
        code: &'static str,
        at: At,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.say(Severity::Error, code, at, message.into(), Some(help.into()));
    }

    /// Says a warning and its mend.
    pub(crate) fn warning(&mut self, code: &'static str, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.say(Severity::Warning, code, at, message.into(), Some(help.into()));
    }

    /// Says an error about a name, with the most similar of `candidates` as its mend, else with `otherwise`.
    pub(crate) fn unknown<'c>(
        &mut self,
        code: &'static str,
        at: At,
        message: impl Into<String>,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
        otherwise: Option<String>,
    ) {
        let help = self.similar(name, candidates).map(|known| format!("did you mean `{known}`?")).or(otherwise);
        self.say(Severity::Error, code, at, message.into(), help);
    }

    /// The candidate most similar to a word, if one is similar enough. Gives up when the file's share of work is used
    /// up, or when nobody would read the answer.
    pub(crate) fn similar<'c>(&mut self, word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
        if self.is_full() {
            return None;
        }
        similar(word, candidates, &mut self.comparisons_left)
    }

    /// Everything said, in the file's order, at most [`DIAGNOSTICS_MAX`].
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|said| (said.span.start, said.span.end));
        if self.beyond > 0 {
            // Its place is taken from a warning, if there is one.
            let last = self.last_warning().unwrap_or(self.list.len() - 1);
            self.list.remove(last);
            let severity = if self.errors > 0 { Severity::Error } else { Severity::Warning };
            let span = self.list.last().map_or(Span::default(), |said| said.span);
            let message = format!("and {} more, not shown", self.beyond + 1);
            let help = Some("mend these first".to_owned());
            self.list.push(Diagnostic { code: code::TOO_MANY, severity, span, message, help });
        }
        self.list
    }

    fn last_warning(&self) -> Option<usize> {
        self.list.iter().rposition(|said| said.severity == Severity::Warning)
    }

    fn say(&mut self, severity: Severity, code: &'static str, at: At, message: String, help: Option<String>) {
        self.errors += usize::from(severity == Severity::Error);
        if self.list.len() >= DIAGNOSTICS_MAX {
            self.beyond += 1;
            // An error is more worth saying than a warning.
            match self.last_warning() {
                Some(last) if severity == Severity::Error => drop(self.list.remove(last)),
                _ => return,
            }
        }
        let span = self.span(at);
        self.list.push(Diagnostic { code, severity, span, message, help });
    }

    /// The line a place is on, from 1.
    pub(crate) fn line(&self, at: At) -> usize {
        self.lines.partition_point(|line_start| *line_start <= at.start).max(1)
    }

    fn span(&self, at: At) -> Span {
        let start = self.text.floor_char_boundary(at.start.min(self.text.len()));
        let end = self.text.floor_char_boundary(at.end.min(self.text.len())).max(start);
        let line = self.lines.partition_point(|line_start| *line_start <= start).max(1);
        let before = &self.text[self.lines[line - 1]..start];
        Span { start, end, line, column: before.chars().count() + 1 }
    }
}

/// The candidate most similar to a word: at most a third of its letters differ. `comparisons_left` pays for the work.
pub(crate) fn similar<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
    comparisons_left: &mut usize,
) -> Option<&'c str> {
    let near = (word.chars().count() / 3).clamp(1, 4);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if word.len().abs_diff(candidate.len()) > near * 4 {
            continue;
        }
        let cost = word.len().saturating_mul(candidate.len()).max(1);
        *comparisons_left = comparisons_left.checked_sub(cost)?;
        let distance = strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase());
        if distance <= near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// A word from the file as it may stand in a message: in backquotes, escaped, clipped to 60 characters.
pub(crate) fn quoted(word: &str) -> String {
    let mut shown: String = word
        .chars()
        .take(60)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if word.chars().nth(60).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_words_are_suggested() {
        let known = ["timeout", "retry", "needs", "run", "working-directory"];
        for (word, expected) in [
            ("timout", Some("timeout")),
            ("TIMEOUT", Some("timeout")),
            ("need", Some("needs")),
            ("rnu", Some("run")),
            ("working-directori", Some("working-directory")),
            ("xyz", None),
            ("", None),
            ("timeouttimeouttimeout", None),
        ] {
            assert_eq!(similar(word, known, &mut COMPARISONS_MAX.clone()), expected, "{word}");
        }
    }

    #[test]
    fn suggestions_end_with_the_work_they_may_cost() {
        let mut comparisons_left = 40;
        assert_eq!(similar("timout", ["timeout"], &mut comparisons_left), None);
        comparisons_left = 90;
        assert_eq!(similar("timout", ["timeout"], &mut comparisons_left), Some("timeout"));
        assert_eq!(comparisons_left, 48);
        assert_eq!(similar("timout", ["timeout", "timeout"], &mut comparisons_left), None);
    }

    #[test]
    fn words_of_the_file_are_clipped_and_escaped() {
        assert_eq!(quoted("a\u{1b}\n"), "`a\\u{1b}\\n`");
        assert_eq!(quoted(&"é".repeat(60)), format!("`{}`", "é".repeat(60)));
        assert_eq!(quoted(&"é".repeat(61)), format!("`{}…`", "é".repeat(60)));
    }
}
