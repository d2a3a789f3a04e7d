//! The `${{ }}` language: expressions and templates, with fuel.
//!
//! An expression is Jinja's, evaluated under a bound on time and memory, with three things of GitHub Actions: `&&`,
//! `||` and `!` are understood, a name after a dot may hold hyphens (`steps.my-step.outcome`; put spaces around a
//! minus), and values become text as there (`true`, `3`, null as nothing). `$${{` stands for a bare `${{`.

mod evaluator;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use evaluator::{Program, Unvalued};
pub use scan::Name;

/// Bytes of a template's source, and of what it renders to.
const SOURCE_BYTES_MAX: usize = 64 * 1024;
const RESULT_BYTES_MAX: usize = 64 * 1024;
const TOO_LONG: &str = "the result is over 64 KiB";
/// Expressions in one template.
const EXPRESSIONS_MAX: usize = 64;
/// Bytes of one expression.
const EXPRESSION_BYTES_MAX: usize = 4 * 1024;
/// Characters of an expression that an error quotes.
const QUOTED_CHARS_MAX: usize = 200;

/// A string of a workflow file with its `${{ }}` expressions found and checked once. Clones share all of it.
#[derive(Clone, Debug)]
pub struct Template {
    source: Arc<str>,
    /// Empty if the source stands for itself.
    parts: Arc<[Part]>,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        // The parts follow from the source and from whether it was read as a condition.
        self.source == other.source && self.is_literal() == other.is_literal()
    }
}

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Expression(Expression),
}

#[derive(Debug)]
struct Expression {
    /// Its text in the source.
    at: Range<usize>,
    program: Program,
    names: Box<[Name]>,
    functions: Box<[String]>,
}

/// What an expression can see.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// An object: `inputs`, `steps`, `run`, `trigger`, `env`.
    pub names: Value,
    /// What `success()`, `failure()`, `cancelled()` say; `always()` is always true.
    pub status: Status,
}

/// How things stand for the step whose expression is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// No step before it failed.
    pub success: bool,
    /// A step before it failed.
    pub failure: bool,
    /// The run was cancelled.
    pub cancelled: bool,
}

/// Why an expression has no value, or is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// The expression, as written, at most 200 characters of it.
    pub expression: String,
    /// Where the expression (or the fault in it, if known) starts in the template's source, in bytes.
    pub offset: usize,
    /// What is wrong, lower case, such as "out of fuel" or "`steps.bild` is undefined, did you mean `build`?".
    pub message: String,
}

impl std::fmt::Display for ExprError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {}", self.expression, self.message)
    }
}

impl std::error::Error for ExprError {}

impl Template {
    /// Finds and compiles the expressions of a string.
    ///
    /// # Errors
    /// The first expression that does not parse, a `${{` that is not closed, or a bound exceeded (64 KiB of source,
    /// 64 expressions of 4 KiB).
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        check_length(source)?;
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = 0;
        while let Some(found) = source[rest..].find("${{") {
            let open = rest + found;
            if source[rest..open].ends_with('$') {
                text.push_str(&source[rest..open - 1]);
                text.push_str("${{");
                rest = open + 3;
                continue;
            }
            text.push_str(&source[rest..open]);
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text).into()));
            }
            if parts.iter().filter(|part| matches!(part, Part::Expression(_))).count() == EXPRESSIONS_MAX {
                return Err(error(&source[open..], open, format!("over {EXPRESSIONS_MAX} expressions in one string")));
            }
            let (expression, end) = Expression::read(source, open + 3, true)?;
            parts.push(Part::Expression(expression));
            rest = end + 2;
        }
        text.push_str(&source[rest..]);
        if !text.is_empty() && text != source {
            parts.push(Part::Text(text.into()));
        }
        Ok(Self { source: source.into(), parts: parts.into() })
    }

    /// As [`Template::parse`], where a string without `${{ }}` is an expression as a whole: for `if:`.
    ///
    /// # Errors
    /// The expression does not parse, or there is text beside it (which would make it true always).
    pub fn parse_condition(source: &str) -> Result<Self, ExprError> {
        check_length(source)?;
        if !source.contains("${{") {
            let (expression, _) = Expression::read(source, 0, false)?;
            return Ok(Self { source: source.into(), parts: [Part::Expression(expression)].into() });
        }
        let template = Self::parse(source)?;
        if template.only().is_none() {
            let message = "a condition is one expression: put all of it inside one `${{ }}`, or leave `${{ }}` out";
            return Err(error(source, 0, message.to_owned()));
        }
        Ok(template)
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The expressions in it: offset in the source and text, for checks (which names and functions it uses).
    pub fn expressions(&self) -> Vec<(usize, String)> {
        self.each().map(|expression| (expression.at.start, self.source[expression.at.clone()].to_owned())).collect()
    }

    /// The names its expressions read, in the order of the source: for checks, and to make a scope no larger than needed.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.each().flat_map(|expression| expression.names.iter())
    }

    /// Whether it calls this function, such as `always`.
    pub fn calls(&self, function: &str) -> bool {
        self.each().any(|expression| expression.functions.iter().any(|name| name == function))
    }

    /// Whether there is no expression in it.
    pub fn is_literal(&self) -> bool {
        self.each().next().is_none()
    }

    /// Evaluates and renders to a string.
    ///
    /// # Errors
    /// An expression is undefined, out of fuel or wrong in type; or the result is over 64 KiB.
    pub fn render(&self, scope: &Scope) -> Result<String, ExprError> {
        if self.parts.is_empty() {
            return Ok(self.source.as_ref().to_owned());
        }
        let mut out = String::new();
        for part in self.parts.iter() {
            let piece = match part {
                Part::Text(text) => Cow::Borrowed(text.as_ref()),
                Part::Expression(expression) => {
                    let value = expression.evaluate(&self.source, scope)?;
                    Cow::Owned(evaluator::text(&value).map_err(|message| expression.error(&self.source, message))?)
                }
            };
            if out.len() + piece.len() > RESULT_BYTES_MAX {
                return Err(error(&self.source, 0, TOO_LONG.to_owned()));
            }
            out.push_str(&piece);
        }
        Ok(out)
    }

    /// Evaluates a condition to true or false. One expression alone keeps its type: false, null, 0, "" and what is
    /// empty are false. Note that the text "false" is true, as in GitHub Actions: compare it (`== 'true'`).
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn test(&self, scope: &Scope) -> Result<bool, ExprError> {
        match self.only() {
            Some(expression) => Ok(expression.evaluate(&self.source, scope)?.is_true()),
            None => self.render(scope).map(|text| !text.is_empty()),
        }
    }

    /// Heap bytes it holds: an estimate from above.
    pub fn bytes(&self) -> usize {
        // A block of the heap costs its owner some bytes besides what it holds.
        const BLOCK: usize = 16;
        let text = |text: &str| text.len() + BLOCK;
        let name = |name: &Name| {
            let parts: usize = name.parts.iter().map(|part| size_of::<String>() + text(part)).sum();
            size_of::<Name>() + BLOCK + 2 * parts
        };
        let part = |part: &Part| match part {
            Part::Text(written) => text(written),
            Part::Expression(expression) => {
                let names: usize = expression.names.iter().map(name).sum();
                let functions: usize = expression.functions.iter().map(|name| size_of::<String>() + text(name)).sum();
                expression.program.bytes() + names + functions + 3 * BLOCK
            }
        };
        4 * BLOCK + self.source.len() + size_of_val(&*self.parts) + self.parts.iter().map(part).sum::<usize>()
    }

    fn each(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expression(expression) => Some(expression),
            Part::Text(_) => None,
        })
    }

    /// The expression, if there is one and nothing but white space beside it.
    fn only(&self) -> Option<&Expression> {
        let mut found = None;
        for part in self.parts.iter() {
            match part {
                Part::Text(text) if text.trim().is_empty() => {}
                Part::Expression(expression) if found.is_none() => found = Some(expression),
                _ => return None,
            }
        }
        found
    }
}

impl Expression {
    /// Reads the expression that starts at `start`; returns it and the offset of its end.
    fn read(source: &str, start: usize, closed: bool) -> Result<(Self, usize), ExprError> {
        let scan =
            scan::scan(source, start, closed).map_err(|fault| error(&source[start..], fault.offset, fault.message))?;
        let raw = &source[start..scan.end];
        let text = raw.trim();
        let offset = start + (raw.len() - raw.trim_start().len());
        let fail = |offset: usize, message: String| Err(error(text, offset, message));
        if text.len() > EXPRESSION_BYTES_MAX {
            return fail(offset, format!("the expression is over {} KiB", EXPRESSION_BYTES_MAX / 1024));
        }
        for (kind, used, known) in [
            ("function", &scan.functions, &evaluator::FUNCTIONS[..]),
            ("filter", &scan.filters, &evaluator::FILTERS[..]),
        ] {
            if let Some((at, name)) = used.iter().find(|(_, name)| !known.contains(&name.as_str())) {
                let hint = did_you_mean(name, known.iter().copied());
                return fail(*at, format!("there is no {kind} `{name}`{hint}"));
            }
        }
        if let Some(name) = scan.names.iter().find(|name| evaluator::FUNCTIONS.contains(&name.parts[0].as_str())) {
            return fail(name.offset, format!("`{0}` is a function, did you mean `{0}()`?", name.parts[0]));
        }
        let program = Program::check(scan.rewritten).map_err(|message| error(text, offset, message))?;
        let functions = scan.functions.into_iter().map(|(_, name)| name).collect();
        Ok((Self { at: offset..offset + text.len(), program, names: scan.names.into(), functions }, scan.end))
    }

    fn evaluate(&self, source: &str, scope: &Scope) -> Result<minijinja::Value, ExprError> {
        let text = &source[self.at.clone()];
        self.program.evaluate(scope, &self.names).map_err(|unvalued| match unvalued {
            Unvalued::Wrong(message) => self.error(source, message),
            Unvalued::Undefined => self
                .names
                .iter()
                .find_map(|name| missing(name, &scope.names).map(|message| error(text, name.offset, message)))
                .unwrap_or_else(|| self.error(source, "it reads something that is undefined".to_owned())),
        })
    }

    fn error(&self, source: &str, message: String) -> ExprError {
        error(&source[self.at.clone()], self.at.start, message)
    }
}

/// What to say if `name` is not in `names`. A guard minds the absence of the last part only.
fn missing(name: &Name, names: &Value) -> Option<String> {
    let mut here = names;
    for (depth, part) in name.parts.iter().take(name.parts.len() - usize::from(name.guarded)).enumerate() {
        match here.get(part) {
            Some(value) => here = value,
            None => {
                let known = here.as_object().into_iter().flat_map(|map| map.keys().map(String::as_str));
                let hint = did_you_mean(part, known);
                return Some(format!("`{}` is undefined{hint}", name.parts[..=depth].join(".")));
            }
        }
    }
    None
}

/// ", did you mean `x`?" for the nearest of `known`, or nothing.
fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .take(1_000)
        .filter(|candidate| candidate.len() <= 100)
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, candidate)| format!(", did you mean `{candidate}`?"))
}

fn check_length(source: &str) -> Result<(), ExprError> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(error(source, 0, format!("the text is over {} KiB", SOURCE_BYTES_MAX / 1024)));
    }
    Ok(())
}

fn error(expression: &str, offset: usize, message: String) -> ExprError {
    ExprError { expression: expression.trim().chars().take(QUOTED_CHARS_MAX).collect(), offset, message }
}
