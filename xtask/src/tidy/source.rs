//! A Rust file as the rules see it: its lines, its code without comments and strings, and where its tests begin.

/// A Rust file.
pub(super) struct Source<'a> {
    /// Its path, relative to the root.
    pub(super) path: &'a str,
    /// Its text.
    pub(super) text: &'a str,
    /// Its text with every comment, string and character literal blanked out; lines and columns agree with `text`.
    pub(super) code: String,
    /// The line (from 1) at which its inline `mod tests` begins; after the last line if there is none.
    pub(super) tests_from: usize,
}

impl<'a> Source<'a> {
    /// Looks at a file.
    pub(super) fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, text, code: blank(text), tests_from: tests_from(text) }
    }

    /// Whether the whole file is test code, a benchmark or an example.
    pub(super) fn is_test(&self) -> bool {
        let folders = ["tests", "benches", "examples"];
        self.path.ends_with("/tests.rs") || self.path.split('/').any(|part| folders.contains(&part))
    }

    /// Its lines without its inline tests; none if all of it is tests. Numbered from 1.
    pub(super) fn product_lines(&self) -> impl Iterator<Item = (usize, &'a str)> {
        let until = if self.is_test() { 1 } else { self.tests_from };
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line)).take_while(move |(n, _)| *n < until)
    }

    /// As [`Source::product_lines`], without comments and strings.
    pub(super) fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let until = if self.is_test() { 1 } else { self.tests_from };
        self.code.lines().enumerate().map(|(i, line)| (i + 1, line)).take_while(move |(n, _)| *n < until)
    }

    /// The file's name without `.rs`, and the folders it stands in below `src`.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let below = self.path.rsplit_once("src/").map_or(self.path, |(_, below)| below);
        below.trim_end_matches(".rs").split('/').collect()
    }
}

fn tests_from(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |i: usize| {
        let next = lines[i + 1..].iter().find(|line| !line.starts_with("#["));
        lines[i] == "#[cfg(test)]" && next.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    (0..lines.len()).find(|i| begins(*i)).map_or(lines.len(), |i| i) + 1
}

/// Where the scan stands.
enum State {
    Code,
    LineComment,
    /// Block comments nest.
    BlockComment(u32),
    Text,
    /// Ends at a quote and this many `#`.
    RawText(usize),
}

fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut state = State::Code;
    let mut i = 0;
    while i < chars.len() {
        let rest = &chars[i..];
        let (width, next) = step(&state, rest, i.checked_sub(1).map(|before| chars[before]));
        let stays = matches!((&state, &next), (State::Code, State::Code)) && width == 1;
        for c in &rest[..width] {
            out.push(if stays || *c == '\n' { *c } else { ' ' });
        }
        state = next;
        i += width;
    }
    out
}

/// How many characters belong together from here, and where the scan stands after them.
fn step(state: &State, rest: &[char], before: Option<char>) -> (usize, State) {
    let starts = |word: &str| word.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
    match state {
        State::Code => code_step(rest, before),
        State::LineComment if rest[0] == '\n' => (1, State::Code),
        State::LineComment => (1, State::LineComment),
        State::BlockComment(depth) if starts("*/") => {
            (2, if *depth == 1 { State::Code } else { State::BlockComment(depth - 1) })
        }
        State::BlockComment(depth) if starts("/*") => (2, State::BlockComment(depth + 1)),
        State::BlockComment(depth) => (1, State::BlockComment(*depth)),
        State::Text if rest[0] == '\\' => (rest.len().min(2), State::Text),
        State::Text => (1, if rest[0] == '"' { State::Code } else { State::Text }),
        State::RawText(hashes) => {
            let ends = rest[0] == '"' && rest[1..].iter().take_while(|c| **c == '#').count() >= *hashes;
            if ends { (1 + hashes, State::Code) } else { (1, State::RawText(*hashes)) }
        }
    }
}

fn code_step(rest: &[char], before: Option<char>) -> (usize, State) {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match (rest[0], rest.get(1)) {
        ('/', Some('/')) => (2, State::LineComment),
        ('/', Some('*')) => (2, State::BlockComment(1)),
        ('"', _) => (1, State::Text),
        // `r"`, `r#"`, and with a `b` or `c` before; but not a raw name such as `r#type`.
        ('r', Some('"' | '#')) if !in_word || matches!(before, Some('b' | 'c')) => {
            let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
            if rest.get(1 + hashes) == Some(&'"') { (2 + hashes, State::RawText(hashes)) } else { (1, State::Code) }
        }
        ('\'', _) => (literal_width(rest), State::Code),
        _ => (1, State::Code),
    }
}

/// The width of a character literal; 1 if the quote begins a lifetime.
fn literal_width(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), Some(_)) => rest.iter().skip(3).position(|c| *c == '\'').map_or(1, |end| end + 4),
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}
