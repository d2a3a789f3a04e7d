//! The declarations under `inputs:`.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::diagnostic::code;
use crate::findings::{Findings, quoted};
use crate::input::{Input, InputType};
use crate::keys::Place;
use crate::limits::{INPUT_BYTES_MAX, INPUTS_MAX, OPTIONS_MAX, PROSE_BYTES_MAX};
use crate::parse::fields::{Fields, entries, missing};
use crate::parse::step::is_id;
use crate::parse::tree::{Entry, Node};
use crate::parse::value;

/// Reads all declarations; those that are too broken are left out and said.
pub(crate) fn read(node: &Node, findings: &mut Findings<'_>) -> Vec<Input> {
    let Some(entries) = entries(node, "`inputs`", findings) else { return Vec::new() };
    if entries.len() > INPUTS_MAX {
        findings.error(code::TOO_BIG, node.at, format!("{} inputs, more than {INPUTS_MAX}", entries.len()));
        return Vec::new();
    }
    let mut inputs = Vec::with_capacity(entries.len());
    let mut variables = HashMap::with_capacity(entries.len());
    for entry in entries {
        // Steps are given each input as `STAUNCH_INPUT_NAME`.
        let variable = entry.name.to_ascii_uppercase().replace('-', "_");
        if let Some(other) = variables.insert(variable, &entry.name) {
            let message = format!(
                "the inputs {} and {} would be the same environment variable",
                quoted(other),
                quoted(&entry.name)
            );
            findings.error_help(code::DUPLICATE_ID, entry.at, message, "rename one of them");
        }
        if !is_id(&entry.name) {
            let message = format!("{} cannot name an input", quoted(&entry.name));
            let help = "use letters, digits, `-` and `_`, at most 100, starting with a letter or `_`";
            findings.error_help(code::INVALID_ID, entry.at, message, help);
        }
        inputs.push(one(entry, findings));
    }
    inputs
}

/// One declaration. Whatever of it is wrong is said, and replaced by what keeps other checks quiet.
fn one(entry: &Entry, findings: &mut Findings<'_>) -> Input {
    let mut input =
        Input { name: entry.name.clone(), description: None, kind: InputType::String, default: None, required: false };
    // `target:` alone declares a text.
    if entry.value.is_null() {
        return input;
    }
    let Some(fields) = Fields::read(&entry.value, Place::Input, findings) else { return input };
    input.description = fields
        .get("description")
        .and_then(|node| value::text(node, "`description`", PROSE_BYTES_MAX, findings))
        .map(str::to_owned);
    input.required =
        fields.get("required").and_then(|node| value::boolean(node, "`required`", findings)).unwrap_or(false);
    let Some(kind) = kind(entry, &fields, findings) else { return input };
    input.kind = kind;
    if let Some(node) = fields.get("default") {
        input.default = default(node, &input.kind, findings);
        if input.required {
            let message = format!("the input {} is required, so its default is never used", quoted(&input.name));
            findings.warning(code::NEEDLESS_REQUIRED, node.at, message, "remove `required` or `default`");
        }
    }
    input
}

/// The kinds of input by their word.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Number,
    Boolean,
    Choice,
}

fn kind(entry: &Entry, fields: &Fields<'_>, findings: &mut Findings<'_>) -> Option<InputType> {
    let words =
        [("string", Kind::Text), ("number", Kind::Number), ("boolean", Kind::Boolean), ("choice", Kind::Choice)];
    let options = fields.get("options");
    let word = match fields.get("type") {
        Some(node) => value::word(node, "`type`", &words, findings)?,
        None if options.is_some() => Kind::Choice,
        None => Kind::Text,
    };
    match (word, options) {
        (Kind::Choice, Some(node)) => choice(node, findings),
        (Kind::Choice, None) => {
            missing(entry.at, Place::Input, "options", "such as `options: [s3, disk]`", findings);
            None
        }
        (_, Some(node)) => {
            let message = "`options` belongs to inputs of `type: choice`";
            findings.error_help(code::INVALID_VALUE, node.at, message, "write `type: choice`, or remove `options`");
            None
        }
        (Kind::Number, None) => Some(InputType::Number),
        (Kind::Boolean, None) => Some(InputType::Boolean),
        (Kind::Text, None) => Some(InputType::String),
    }
}

fn choice(node: &Node, findings: &mut Findings<'_>) -> Option<InputType> {
    let options = value::texts(node, "`options`", INPUT_BYTES_MAX, findings)?;
    if options.is_empty() || options.len() > OPTIONS_MAX {
        let message = format!("`options` must list 1 to {OPTIONS_MAX} texts, found {}", options.len());
        findings.error(code::INVALID_VALUE, node.at, message);
        return None;
    }
    let mut seen = HashSet::with_capacity(options.len());
    for (at, option) in &options {
        if !seen.insert(*option) {
            findings.error_help(
                code::INVALID_VALUE,
                *at,
                format!("the option {} stands twice", quoted(option)),
                "remove one",
            );
        }
    }
    Some(InputType::Choice(options.into_iter().map(|(_, option)| option.to_owned()).collect()))
}

fn default(node: &Node, kind: &InputType, findings: &mut Findings<'_>) -> Option<Value> {
    match kind {
        InputType::String => value::literal(node, "`default`", INPUT_BYTES_MAX, findings).map(Value::from),
        InputType::Boolean => value::boolean(node, "`default`", findings).map(Value::from),
        InputType::Number => {
            let number = value::number(node, "`default`", "a number", findings)?;
            Some(crate::input::number(number))
        }
        InputType::Choice(options) => {
            let text = value::literal(node, "`default`", INPUT_BYTES_MAX, findings)?;
            if options.iter().any(|option| option == text) {
                return Some(Value::from(text));
            }
            let message = format!("the default {} is not among the options", quoted(text));
            findings.unknown(code::INVALID_VALUE, node.at, message, text, options.iter().map(String::as_str), None);
            None
        }
    }
}
