//! Finds the end of an expression, what it names and calls, and writes it in the evaluator's words.
//!
//! A scan is one pass over bytes and keeps at most [`TOKENS_MAX`] tokens. Since no evaluator code runs before it has
//! said yes, its limits are what keeps the evaluator's recursive parser off the end of the stack.

use std::ops::Range;

/// Tokens of one expression. The depth of the syntax tree is at most this, so it bounds the parser's recursion.
pub(super) const TOKENS_MAX: usize = 256;
/// Brackets inside brackets.
const DEPTH_MAX: usize = 24;

/// Words with a meaning of their own, which name nothing.
const KEYWORDS: [&str; 12] =
    ["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "null", "recursive"];

/// What was found in one expression.
#[derive(Debug)]
pub(super) struct Scan {
    /// The expression in the evaluator's words.
    pub(super) rewritten: String,
    /// The names it reads.
    pub(super) names: Vec<Name>,
    /// The functions it calls: offset and name.
    pub(super) functions: Vec<(usize, String)>,
    /// The filters (`x | upper`) it applies: offset and name.
    pub(super) filters: Vec<(usize, String)>,
    /// Byte offset after the expression: the closing `}}`, or the end of the source.
    pub(super) end: usize,
}

/// A name that an expression reads, such as `steps.build.outputs.version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Where it starts in the template's source, in bytes.
    pub offset: usize,
    /// Its parts, as far as they can be known without evaluating: `inputs[x].y` has one part, `inputs`.
    pub parts: Vec<String>,
    /// Whether the expression minds its absence itself, by `| default(...)` or `is defined`.
    pub guarded: bool,
}

/// What is wrong, and where in the source.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) message: String,
}

impl Fault {
    fn new<T>(offset: usize, message: impl Into<String>) -> Result<T, Self> {
        Err(Self { offset, message: message.into() })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Text,
    Mark,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    at: Range<usize>,
}

/// Scans the expression that starts at `start`. `closed` says that it ends at `}}`; otherwise it ends with the source.
pub(super) fn scan(source: &str, start: usize, closed: bool) -> Result<Scan, Fault> {
    let mut tokens = Tokens { source, list: Vec::new(), open: Vec::new(), partner: Vec::new() };
    let end = tokens.read(start, closed)?;
    if tokens.list.is_empty() {
        return Fault::new(start, "there is no expression here");
    }
    let mut scan =
        Scan { rewritten: tokens.rewrite()?, names: Vec::new(), functions: Vec::new(), filters: Vec::new(), end };
    tokens.collect(&mut scan);
    Ok(scan)
}

struct Tokens<'s> {
    source: &'s str,
    list: Vec<Token>,
    /// Brackets that are open: index of the token.
    open: Vec<usize>,
    /// For each token the index of its closing bracket, or its own index.
    partner: Vec<usize>,
}

impl Tokens<'_> {
    /// Reads tokens up to the end; returns its offset.
    fn read(&mut self, start: usize, closed: bool) -> Result<usize, Fault> {
        let bytes = self.source.as_bytes();
        let mut at = start;
        loop {
            while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
                at += 1;
            }
            let Some(&byte) = bytes.get(at) else {
                if closed {
                    return Fault::new(start, "`${{` is not closed by `}}`");
                }
                return self.all_closed().map(|()| at);
            };
            if closed && self.open.is_empty() && bytes[at..].starts_with(b"}}") {
                return Ok(at);
            }
            let token = self.token(at, byte)?;
            at = token.at.end;
            self.push(token)?;
        }
    }

    /// Reads the token at `at`.
    fn token(&self, at: usize, byte: u8) -> Result<Token, Fault> {
        let rest = &self.source.as_bytes()[at..];
        let run = |accept: fn(&u8) -> bool| rest.iter().take_while(|b| accept(b)).count();
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let (kind, length) = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' if self.is(self.list.len().wrapping_sub(1), ".") => {
                (Kind::Word, hyphenated(rest))
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => (Kind::Word, run(is_word)),
            b'0'..=b'9' => (Kind::Number, run(is_word)),
            b'\'' | b'"' => (Kind::Text, quoted(rest).map_or_else(|| Fault::new(at, "this string is not closed"), Ok)?),
            _ => (Kind::Mark, mark(rest).map_or_else(|message| Fault::new(at, message), Ok)?),
        };
        Ok(Token { kind, at: at..at + length })
    }

    fn push(&mut self, token: Token) -> Result<(), Fault> {
        let index = self.list.len();
        if index == TOKENS_MAX {
            return Fault::new(
                token.at.start,
                format!("the expression is too long: over {TOKENS_MAX} words and marks"),
            );
        }
        self.partner.push(index);
        match &self.source[token.at.clone()] {
            "(" | "[" | "{" if self.open.len() == DEPTH_MAX => {
                return Fault::new(token.at.start, format!("brackets are nested deeper than {DEPTH_MAX}"));
            }
            "(" | "[" | "{" => self.open.push(index),
            close @ (")" | "]" | "}") => match self.open.pop() {
                Some(open) if matches!((self.text(open), close), ("(", ")") | ("[", "]") | ("{", "}")) => {
                    self.partner[open] = index;
                }
                _ => return Fault::new(token.at.start, format!("`{close}` closes nothing")),
            },
            _ => {}
        }
        self.list.push(token);
        Ok(())
    }

    fn all_closed(&self) -> Result<(), Fault> {
        match self.open.last() {
            Some(&open) => Fault::new(self.list[open].at.start, format!("`{}` is not closed", self.text(open))),
            None => Ok(()),
        }
    }

    /// The text of a token; empty past the end.
    fn text(&self, index: usize) -> &str {
        self.list.get(index).map_or("", |token| &self.source[token.at.clone()])
    }

    fn is(&self, index: usize, text: &str) -> bool {
        self.text(index) == text
    }

    fn kind(&self, index: usize) -> Option<Kind> {
        self.list.get(index).map(|token| token.kind)
    }

    /// The index after the operand that starts at `index`: a value and what clings to it (`.name`, `[...]`, `(...)`,
    /// `| filter(...)`). The operators `&&`, `||` and comparisons do not.
    fn operand_end(&self, mut index: usize) -> usize {
        while self.is(index, "!") || self.is(index, "-") {
            index += 1;
        }
        index = self.partner.get(index).map_or(index, |&partner| partner) + 1;
        loop {
            index = match self.text(index) {
                "." | "|" => index + 2,
                "(" | "[" => self.partner[index] + 1,
                _ => return index.min(self.list.len()),
            };
        }
    }

    /// The expression with `&&`, `||`, `!` as `and`, `or`, `not`, and `.a-b` as `["a-b"]`.
    ///
    /// `not` binds weaker than a comparison and `!` binds stronger, hence the brackets.
    fn rewrite(&self) -> Result<String, Fault> {
        let mut out = String::with_capacity(self.source.len().min(256));
        let mut closing = vec![0_usize; self.list.len() + 1];
        let mut gap = self.list[0].at.start;
        for (index, token) in self.list.iter().enumerate() {
            out.extend(std::iter::repeat_n(')', closing[index]));
            out.push_str(&self.source[gap..token.at.start]);
            gap = token.at.end;
            let text = self.text(index);
            match text {
                "&&" => out.push_str(" and "),
                "||" => out.push_str(" or "),
                "!" if index + 1 == self.list.len() => return Fault::new(token.at.start, "`!` of what?"),
                "!" => {
                    out.push_str("(not ");
                    closing[self.operand_end(index + 1)] += 1;
                }
                "." if self.text(index + 1).contains('-') => {}
                _ if token.kind == Kind::Word && text.contains('-') => {
                    out.push_str("[\"");
                    out.push_str(text);
                    out.push_str("\"]");
                }
                _ => out.push_str(text),
            }
        }
        out.extend(std::iter::repeat_n(')', closing[self.list.len()]));
        Ok(out)
    }

    /// Lists what the expression names, calls and applies.
    fn collect(&self, scan: &mut Scan) {
        for (index, token) in self.list.iter().enumerate() {
            let before = index.wrapping_sub(1);
            let text = self.text(index);
            if token.kind != Kind::Word
                || self.is(before, ".")
                || KEYWORDS.contains(&text.to_ascii_lowercase().as_str())
            {
                continue;
            }
            if self.is(before, "|") {
                scan.filters.push((token.at.start, text.to_owned()));
                continue;
            }
            let is_test = self.is(before, "is") || (self.is(before, "not") && self.is(before.wrapping_sub(1), "is"));
            if is_test || self.is(index + 1, "=") {
                continue;
            }
            if self.is(index + 1, "(") {
                scan.functions.push((token.at.start, text.to_owned()));
                continue;
            }
            scan.names.push(self.name(index));
        }
    }

    fn name(&self, first: usize) -> Name {
        let mut parts = vec![self.text(first).to_owned()];
        let mut next = first + 1;
        loop {
            if self.is(next, ".") && !self.is(next + 2, "(") {
                parts.push(self.text(next + 1).to_owned());
                next += 2;
            } else if self.is(next, "[") && self.kind(next + 1) == Some(Kind::Text) && self.is(next + 2, "]") {
                let text = self.text(next + 1);
                if text.contains('\\') {
                    break;
                }
                parts.push(text[1..text.len() - 1].to_owned());
                next += 3;
            } else {
                break;
            }
        }
        let test = if self.is(next + 1, "not") { next + 2 } else { next + 1 };
        let guarded = (self.is(next, "|") && matches!(self.text(next + 1), "default" | "d"))
            || (self.is(next, "is") && matches!(self.text(test), "defined" | "undefined"));
        Name { offset: self.list[first].at.start, parts, guarded }
    }
}

/// The length of a name after a dot: hyphens inside it belong to it, as step ids have them.
fn hyphenated(rest: &[u8]) -> usize {
    let mut length = 0;
    for (index, byte) in rest.iter().enumerate() {
        if byte.is_ascii_alphanumeric() || *byte == b'_' {
            length = index + 1;
        } else if *byte != b'-' {
            break;
        }
    }
    length
}

/// The length of the string literal that `rest` starts with, quotes included.
fn quoted(rest: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (index, &byte) in rest.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == rest[0] => return Some(index + 1),
            _ => {}
        }
    }
    None
}

/// The length of the operator or bracket that `rest` starts with, or what is wrong with it.
fn mark(rest: &[u8]) -> Result<usize, String> {
    match rest {
        [b'&', b'&', ..]
        | [b'|', b'|', ..]
        | [b'=' | b'!' | b'<' | b'>', b'=', ..]
        | [b'/', b'/', ..]
        | [b'*', b'*', ..] => Ok(2),
        [b'&', ..] => Err("a single `&` means nothing, did you mean `&&`?".to_owned()),
        [b'$', b'{', b'{', ..] => Err("`${{` inside an expression: names stand bare here".to_owned()),
        [
            b'+' | b'-' | b'*' | b'/' | b'%' | b'.' | b',' | b':' | b'~' | b'|' | b'=' | b'<' | b'>' | b'!' | b'('
            | b')' | b'[' | b']' | b'{' | b'}',
            ..,
        ] => Ok(1),
        _ => {
            let character = String::from_utf8_lossy(&rest[..rest.len().min(4)]).chars().next().unwrap_or('?');
            Err(format!("`{}` means nothing outside a string", character.escape_debug()))
        }
    }
}
