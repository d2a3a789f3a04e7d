//! The evaluator behind `${{ }}`: one shared, immutable environment with fuel, our functions and nothing else.

use std::io::Write;
use std::sync::{Arc, LazyLock};

use minijinja::value::{Object, Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Expression, State, UndefinedBehavior, Value};
use sha2::{Digest, Sha256};

use super::{Name, RESULT_BYTES_MAX, Scope, TOO_LONG};

/// What one evaluation may cost, in instructions and in data (about 64 bytes a unit): some 1.3 MB and 1 ms.
const FUEL: u64 = 20_000;

/// Bytes of the evaluator's words in an error.
const WORDS_BYTES_MAX: usize = 1_000;

/// Functions an expression can call.
pub(super) const FUNCTIONS: [&str; 8] = ["success", "failure", "always", "cancelled", "hash", "json", "range", "dict"];

/// Filters an expression can apply. What is not here shows the evaluator's inside or is of no use without HTML.
pub(super) const FILTERS: [&str; 46] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "zip",
    "json",
    "hash",
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(64);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.remove_global("debug");
    environment.remove_global("namespace");
    environment.add_function("always", || true);
    environment.add_function("success", |state: &State| said(state, SUCCESS));
    environment.add_function("failure", |state: &State| said(state, FAILURE));
    environment.add_function("cancelled", |state: &State| said(state, CANCELLED));
    environment.add_function("hash", hash);
    environment.add_function("json", json);
    environment.add_filter("hash", hash);
    environment.add_filter("json", json);
    environment
});

// Names that no expression can spell.
const SUCCESS: &str = "$success";
const FAILURE: &str = "$failure";
const CANCELLED: &str = "$cancelled";

fn said(state: &State, name: &str) -> bool {
    state.lookup(name).is_some_and(|value| value.is_true())
}

/// SHA-256 of a string, or of the JSON of anything else, in hex.
fn hash(state: &State, value: &Value) -> Result<String, Error> {
    let digest = match value.as_str() {
        Some(text) => {
            state.consume_fuel(text.len() as u64 / 64)?;
            Sha256::digest(text.as_bytes())
        }
        None => Sha256::digest(to_json(state, value)?.as_bytes()),
    };
    Ok(digest.iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}")))
}

fn json(state: &State, value: &Value) -> Result<String, Error> {
    to_json(state, value)
}

fn to_json(state: &State, value: &Value) -> Result<String, Error> {
    let text = bounded_json(value).map_err(|message| Error::new(ErrorKind::InvalidOperation, message))?;
    state.consume_fuel(text.len() as u64 / 64)?;
    Ok(text)
}

/// Writes JSON of at most [`RESULT_BYTES_MAX`]: an endless or huge value is given up there, not built first.
fn bounded_json(value: &Value) -> Result<String, String> {
    struct Bounded(Vec<u8>);
    impl Write for Bounded {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.len() + bytes.len() > RESULT_BYTES_MAX {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut out = Bounded(Vec::new());
    match serde_json::to_writer(&mut out, value) {
        Ok(()) => String::from_utf8(out.0).map_err(|_| "the result is not UTF-8".to_owned()),
        Err(error) if error.is_io() => Err(TOO_LONG.to_owned()),
        Err(error) => Err(format!("the value cannot be written as JSON: {error}")),
    }
}

/// A checked expression in the evaluator's words.
///
/// It is kept as text and compiled anew for each evaluation, which takes microseconds: a compiled one takes 9.5 KB
/// however short it is, so that a file of 1 MiB full of `${{1}}` would take 1.6 GB.
#[derive(Debug)]
pub(super) struct Program(Box<str>);

impl Program {
    pub(super) fn check(text: String) -> Result<Self, String> {
        let program = Self(text.into());
        program.compile().map(drop).map_err(|error| words(&error))?;
        Ok(program)
    }

    /// Heap bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    fn compile(&self) -> Result<Expression<'static, 'static>, Error> {
        ENVIRONMENT.compile_expression_owned(self.0.to_string())
    }

    /// Evaluates. Only the roots in `names` are copied out of the scope.
    pub(super) fn evaluate(&self, scope: &Scope, names: &[Name]) -> Result<Value, Unvalued> {
        let mut roots: Vec<(String, Value)> = Vec::new();
        for name in names {
            let root = &name.parts[0];
            if roots.iter().all(|(have, _)| have != root)
                && let Some(value) = scope.names.get(root)
            {
                roots.push((root.clone(), Value::from(Serde(value))));
            }
        }
        let status = scope.status;
        for (name, is) in [(SUCCESS, status.success), (FAILURE, status.failure), (CANCELLED, status.cancelled)] {
            roots.push((name.to_owned(), Value::from(is)));
        }
        match self.compile().and_then(|expression| expression.eval(Value::from_object(Roots(roots)))) {
            Ok(value) if value.is_undefined() => Err(Unvalued::Undefined),
            Ok(value) => Ok(value),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Err(Unvalued::Undefined),
            Err(error) => Err(Unvalued::Wrong(words(&error))),
        }
    }
}

/// Why an expression has no value.
pub(super) enum Unvalued {
    /// Something it reads is not there.
    Undefined,
    /// This.
    Wrong(String),
}

#[derive(Debug)]
struct Roots(Vec<(String, Value)>);

impl Object for Roots {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }
}

/// An error of the evaluator in our words.
fn words(error: &Error) -> String {
    let mut words = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "out of fuel: the expression costs too much".to_owned(),
        (ErrorKind::SyntaxError, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    // A detail may quote a value, and an error is kept with its step.
    words.truncate(words.floor_char_boundary(WORDS_BYTES_MAX));
    words
}

/// Renders a value: text bare, whole numbers without `.0`, null as nothing, lists and maps as JSON.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value.kind() {
        ValueKind::None => Ok(String::new()),
        ValueKind::String => match value.as_str() {
            Some(text) if text.len() <= RESULT_BYTES_MAX => Ok(text.to_owned()),
            _ => Err(TOO_LONG.to_owned()),
        },
        ValueKind::Bool => Ok(value.is_true().to_string()),
        ValueKind::Number if value.is_integer() => Ok(value.to_string()),
        // Rust writes a whole f64 without a fraction.
        ValueKind::Number => f64::try_from(value.clone()).map(|n| n.to_string()).map_err(|error| words(&error)),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => bounded_json(value),
        kind => Err(format!("a value of kind {kind} cannot be written as text")),
    }
}
