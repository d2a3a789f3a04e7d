//! What a run can be given, and the check of what it was given.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::findings::{quoted, similar};
use crate::limits::{COMPARISONS_MAX, DIAGNOSTICS_MAX, INPUT_BYTES_MAX, INPUTS_BYTES_MAX};
use crate::parse::json_number;
use crate::workflow::Workflow;

/// An input a run can be given.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its name: letters, digits, `-`, `_`.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it may hold.
    pub kind: InputType,
    /// What it is if nobody says.
    pub default: Option<Value>,
    /// Whether somebody must say.
    pub required: bool,
}

/// What an input may hold.
#[derive(Clone, Debug, PartialEq)]
pub enum InputType {
    /// Any text.
    String,
    /// A finite number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of these.
    Choice(Vec<String>),
}

/// The checked inputs of one run: every input of the workflow has a value (null where it has neither value nor default).
pub type Inputs = BTreeMap<String, Value>;

/// Why the inputs of a run were refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct InputError {
    /// The input's name as given, at most 100 characters of it; empty if it is about all of them.
    pub input: String,
    /// What is wrong with it, with a did-you-mean where one fits.
    pub message: String,
}

impl Workflow {
    /// Checks what a run was given and fills in the defaults. Strings are accepted for numbers and booleans (a CLI has
    /// only strings); null stands for "not given". A value has at most 64 KiB, all together
    /// 512 KiB.
    ///
    /// # Errors
    /// All that is wrong, not just the first (but at most 100): unknown names, missing required ones, wrong types, no
    /// such choice.
    pub fn inputs(&self, given: &BTreeMap<String, Value>) -> Result<Inputs, Vec<InputError>> {
        let mut errors = Vec::new();
        let mut comparisons_left = COMPARISONS_MAX;
        for name in given.keys().filter(|name| !self.inputs.iter().any(|input| input.name == **name)) {
            if errors.len() < DIAGNOSTICS_MAX {
                let message = self.unknown(name, &mut comparisons_left);
                errors.push(InputError { input: name.chars().take(100).collect(), message });
            }
        }
        let mut inputs = Inputs::new();
        for input in &self.inputs {
            match input.value(given.get(&input.name)) {
                Ok(value) => drop(inputs.insert(input.name.clone(), value)),
                Err(message) => errors.push(InputError { input: input.name.clone(), message }),
            }
        }
        errors.truncate(DIAGNOSTICS_MAX);
        let bytes: usize = inputs.values().filter_map(Value::as_str).map(str::len).sum();
        if bytes > INPUTS_BYTES_MAX {
            let message = format!("all inputs together have {bytes} bytes, more than {INPUTS_BYTES_MAX}");
            errors.push(InputError { input: String::new(), message });
        }
        if errors.is_empty() { Ok(inputs) } else { Err(errors) }
    }

    fn unknown(&self, name: &str, comparisons_left: &mut usize) -> String {
        let names = || self.inputs.iter().map(|input| input.name.as_str());
        match similar(name, names(), comparisons_left) {
            Some(known) => format!("there is no such input, did you mean `{known}`?"),
            None if self.inputs.is_empty() => "the workflow has no inputs".to_owned(),
            None => format!("there is no such input; the workflow has {}", listed(names())),
        }
    }
}

impl Input {
    /// The value of this input for a run that was given `given`.
    fn value(&self, given: Option<&Value>) -> Result<Value, String> {
        let Some(given) = given.filter(|value| !value.is_null()) else {
            return match &self.default {
                Some(default) if !self.required => Ok(default.clone()),
                _ if self.required => Err("is required".to_owned()),
                _ => Ok(Value::Null),
            };
        };
        if given.as_str().is_some_and(|text| text.len() > INPUT_BYTES_MAX) {
            return Err(format!("has more than {INPUT_BYTES_MAX} bytes"));
        }
        match &self.kind {
            InputType::String => text(given).map(Value::from),
            InputType::Number => match given {
                Value::Number(value) => Ok(Value::Number(value.clone())),
                Value::String(text) => {
                    json_number(text.trim()).map(number).ok_or_else(|| wrong("a finite number", given))
                }
                _ => Err(wrong("a number", given)),
            },
            InputType::Boolean => match given {
                Value::Bool(value) => Ok(Value::Bool(*value)),
                Value::String(text) if text == "true" => Ok(Value::Bool(true)),
                Value::String(text) if text == "false" => Ok(Value::Bool(false)),
                _ => Err(wrong("`true` or `false`", given)),
            },
            InputType::Choice(options) => {
                let text = text(given)?;
                if options.contains(&text) {
                    return Ok(Value::String(text));
                }
                let options = || options.iter().map(String::as_str);
                Err(match similar(&text, options(), &mut COMPARISONS_MAX.clone()) {
                    Some(option) => {
                        format!("is none of its options, did you mean `{option}`? They are {}", listed(options()))
                    }
                    None => format!("is none of its options, which are {}", listed(options())),
                })
            }
        }
    }
}

/// A number as JSON: whole ones without a fraction, so that `3` stays `3`.
pub(crate) fn number(value: f64) -> Value {
    // Beyond 2^53 not every whole number is a double, so beyond it none is called whole.
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        return Value::from(value as i64);
    }
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A text without NUL, which no environment variable can hold.
fn text(given: &Value) -> Result<String, String> {
    match given {
        Value::String(text) if text.contains('\0') => Err("holds a NUL character".to_owned()),
        Value::String(text) => Ok(text.clone()),
        _ => Err(wrong("a text", given)),
    }
}

fn wrong(wanted: &str, given: &Value) -> String {
    match given {
        Value::String(text) => format!("must be {wanted}, found {}", quoted(text)),
        Value::Array(_) => format!("must be {wanted}, found a list"),
        Value::Object(_) => format!("must be {wanted}, found a mapping"),
        other => format!("must be {wanted}, found {other}"),
    }
}

/// Names for a message, at most twenty.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.take(21).collect();
    let shown: Vec<String> = names.iter().take(20).map(|name| quoted(name)).collect();
    format!("{}{}", shown.join(", "), if names.len() > 20 { ", ..." } else { "" })
}

#[cfg(test)]
mod tests;
