//! The workflow's own keys.

use crate::diagnostic::code;
use crate::findings::{At, Findings, quoted};
use crate::keys::{self, Place, Support};
use crate::limits::{ID_BYTES_MAX, MAX_PARALLEL_MAX, PROSE_BYTES_MAX};
use crate::parse::draft::Draft;
use crate::parse::fields::{Fields, missing};
use crate::parse::tree::{Node, Yaml};
use crate::parse::{inputs, step, value};
use crate::workflow::{LeftBehind, OnLost, Workflow};

/// Reads the whole document; its steps go into the draft. `None`, said, if it is no mapping.
pub(crate) fn read(root: &Node, stem: &str, draft: &mut Draft<'_, '_>) -> Option<Workflow> {
    if let Yaml::List(_) = root.value {
        let help = "put the list under `steps:`";
        draft.findings.error_help(code::WRONG_TYPE, root.at, "a workflow must be a mapping, found a list", help);
        return None;
    }
    let fields = Fields::read(root, Place::Workflow, draft.findings)?;
    let workflow = Workflow {
        name: name(&fields, stem, draft.findings),
        description: fields
            .get("description")
            .and_then(|node| value::text(node, "`description`", PROSE_BYTES_MAX, draft.findings))
            .map(str::to_owned),
        inputs: fields.get("inputs").map(|node| inputs::read(node, draft.findings)).unwrap_or_default(),
        env: fields.get("env").map(|node| draft.env(node, None)).unwrap_or_default(),
        steps: Vec::new(),
        timeout: step::timeout(&fields, draft.findings),
        max_parallel: fields
            .get("max-parallel")
            .and_then(|node| value::integer(node, "`max-parallel`", 1..=MAX_PARALLEL_MAX, draft.findings))
            .map(|number| number as u32),
        on_lost: fields
            .get("on-lost")
            .and_then(|node| {
                let words = [("retry", OnLost::Retry), ("fail", OnLost::Fail)];
                value::word(node, "`on-lost`", &words, draft.findings)
            })
            .unwrap_or(OnLost::Retry),
        left_behind: fields
            .get("left-behind")
            .and_then(|node| {
                let words = [("warn", LeftBehind::Warn), ("fail", LeftBehind::Fail)];
                value::word(node, "`left-behind`", &words, draft.findings)
            })
            .unwrap_or(LeftBehind::Warn),
    };
    if let Some(node) = fields.get("on") {
        triggers(node, draft.findings);
    }
    match fields.get("steps") {
        Some(node) => step::read_all(node, draft),
        None => {
            let at = At { start: root.at.start, end: root.at.start };
            missing(at, Place::Workflow, "steps", "such as `steps: [{ run: echo hello }]`", draft.findings);
        }
    }
    Some(workflow)
}

/// The given name, else the file's.
fn name(fields: &Fields<'_>, stem: &str, findings: &mut Findings<'_>) -> String {
    let charset = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let fits = |name: &str| {
        !name.is_empty() && name.len() <= ID_BYTES_MAX && name.bytes().all(charset) && !name.starts_with('.')
    };
    let rule = "a name has letters, digits, `-`, `_` and `.`, at most 100, and does not start with `.`";
    let Some(node) = fields.get("name") else {
        if !fits(stem) {
            let message = format!("the file's name {} cannot name the workflow", quoted(stem));
            findings.error_help(code::INVALID_ID, At::default(), message, format!("add `name:`; {rule}"));
        }
        return stem.to_owned();
    };
    let Some(name) = value::literal(node, "`name`", PROSE_BYTES_MAX, findings) else { return stem.to_owned() };
    if !fits(name) {
        let message = format!("{} cannot name a workflow", quoted(name));
        let slug = slug(name);
        let help =
            if fits(&slug) { format!("write `name: {slug}`, and the rest as `description:`") } else { rule.to_owned() };
        findings.error_help(code::INVALID_ID, node.at, message, help);
    }
    name.to_owned()
}

/// A name made of a title: "Nightly Backup" becomes `nightly-backup`.
fn slug(title: &str) -> String {
    let words =
        title.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// `on:` as a mapping, a list or a word. Only `manual` is known, and it says nothing new: so nothing is kept.
fn triggers(node: &Node, findings: &mut Findings<'_>) {
    match &node.value {
        Yaml::Mapping(_) => {
            let Some(fields) = Fields::read(node, Place::On, findings) else { return };
            let Some(manual) = fields.get("manual") else { return };
            let is_empty = manual.is_null() || matches!(&manual.value, Yaml::Mapping(entries) if entries.is_empty());
            if !is_empty {
                value::wrong::<()>(manual, "`manual`", "empty: `manual: {}`", None, findings);
            }
        }
        Yaml::Scalar { .. } => trigger(node, findings),
        Yaml::List(list) => list.iter().for_each(|node| trigger(node, findings)),
    }
}

fn trigger(node: &Node, findings: &mut Findings<'_>) {
    let Some(word) = value::text(node, "a trigger", PROSE_BYTES_MAX, findings) else { return };
    match keys::find(Place::On, word) {
        Some(key) if key.support == Support::Now => {}
        Some(_) => {
            findings.error(code::NOT_SUPPORTED, node.at, format!("the trigger {} is not supported yet", quoted(word)))
        }
        None => {
            let message = format!("there is no trigger {}", quoted(word));
            let help = keys::foreign(Place::On, word).unwrap_or("write `on: { manual: {} }`").to_owned();
            findings.unknown(code::INVALID_VALUE, node.at, message, word, keys::names(Place::On), Some(help));
        }
    }
}
