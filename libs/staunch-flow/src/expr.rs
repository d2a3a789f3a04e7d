//! The `${{ }}` language: expressions and templates, with fuel.

use serde_json::Value;

/// A string of a workflow file with its `${{ }}` expressions found and checked once.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    source: String,
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

impl Template {
    /// Finds and compiles the expressions of a string.
    ///
    /// # Errors
    /// The first expression that does not parse, or a `${{` that is not closed.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        Ok(Self { source: source.to_owned() })
    }

    /// As [`Template::parse`], where a string without `${{ }}` is an expression as a whole: for `if:`.
    ///
    /// # Errors
    /// The expression does not parse.
    pub fn parse_condition(source: &str) -> Result<Self, ExprError> {
        Ok(Self { source: source.to_owned() })
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The expressions in it: offset in the source and text, for checks (which names and functions it uses).
    pub fn expressions(&self) -> Vec<(usize, String)> {
        Vec::new()
    }

    /// Whether it calls this function, such as `always`.
    pub fn calls(&self, _function: &str) -> bool {
        false
    }

    /// Evaluates and renders to a string.
    ///
    /// # Errors
    /// An expression is undefined, out of fuel or wrong in type; or the result is over 64 KiB.
    pub fn render(&self, _scope: &Scope) -> Result<String, ExprError> {
        Ok(self.source.clone())
    }

    /// Evaluates a condition to true or false.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn test(&self, _scope: &Scope) -> Result<bool, ExprError> {
        Ok(true)
    }
}
