//! A mapping read by the table of keys: what it has, and everything it should not have.

use std::rc::Rc;

use crate::diagnostic::code;
use crate::findings::{At, Findings, quoted};
use crate::keys::{self, Key, Place, Support};
use crate::parse::tree::{Entry, Node, Yaml, duplicate};

/// The known keys of one mapping.
pub(crate) struct Fields<'n> {
    place: Place,
    found: Vec<(&'static Key, &'n Entry)>,
    refused: bool,
}

impl<'n> Fields<'n> {
    /// Sorts the keys of a mapping into known ones and diagnostics. `None`, said, if the node is no mapping.
    pub(crate) fn read(node: &'n Node, place: Place, findings: &mut Findings<'_>) -> Option<Self> {
        let Yaml::Mapping(entries) = &node.value else {
            let message = format!("{} must be a mapping, found {}", place.noun(), node.found());
            let example = keys::names(place).next().unwrap_or_default();
            findings.error_help(
                code::WRONG_TYPE,
                node.at,
                message,
                format!("write `key: value` pairs, such as `{example}: ...`"),
            );
            return None;
        };
        let mut fields = Self { place, found: Vec::new(), refused: false };
        for entry in entries {
            fields.sort_in(entry, findings);
        }
        Some(fields)
    }

    /// Whether it has keys that were refused. What seems to be missing may be meant by one of them.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    /// The value of a key.
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|entry| Rc::as_ref(&entry.value))
    }

    /// The key and its value.
    pub(crate) fn entry(&self, name: &str) -> Option<&'n Entry> {
        debug_assert!(
            keys::find(self.place, name).is_some_and(|key| key.name == name),
            "no such key in the table: {name}"
        );
        self.found.iter().find(|(key, _)| key.name == name).map(|(_, entry)| *entry)
    }

    fn sort_in(&mut self, entry: &'n Entry, findings: &mut Findings<'_>) {
        let Some(key) = keys::find(self.place, &entry.name) else {
            self.refused = true;
            return self.unknown(entry, findings);
        };
        if key.support == Support::Later {
            let message = format!("{} is not supported yet", quoted(&entry.name));
            findings.error_help(
                code::NOT_SUPPORTED,
                entry.at,
                message,
                "remove it: the key is kept for a later version",
            );
            self.refused = true;
            return;
        }
        match self.found.iter().find(|(other, _)| other.name == key.name) {
            Some((_, first)) => duplicate(findings, key.name, first.at, entry.at),
            None => self.found.push((key, entry)),
        }
    }

    fn unknown(&self, entry: &Entry, findings: &mut Findings<'_>) {
        let message = format!("{} has no key {}", self.place.noun(), quoted(&entry.name));
        if let Some(help) = keys::foreign(self.place, &entry.name) {
            findings.error_help(code::UNKNOWN_KEY, entry.at, message, help);
            return;
        }
        let kebab = entry.name.replace('_', "-");
        let elsewhere = elsewhere(self.place, &kebab);
        let listed = || {
            let names: Vec<&str> = keys::names(self.place).collect();
            format!("its keys are {}", names.join(", "))
        };
        findings.unknown(
            code::UNKNOWN_KEY,
            entry.at,
            message,
            &kebab,
            keys::names(self.place),
            elsewhere.or_else(|| Some(listed())),
        );
    }
}

/// Where a key that is unknown here would be known.
fn elsewhere(place: Place, kebab: &str) -> Option<String> {
    // A step first: what is out of place is mostly a step's key with too little indentation.
    [Place::Step, Place::Workflow, Place::Retry, Place::Input, Place::On, Place::Group]
        .into_iter()
        .filter(|other| *other != place)
        .find_map(|other| keys::find(other, kebab))
        .map(|key| format!("`{}` is a key of {}: check the indentation", key.name, key.place.noun()))
}

/// The entries of a mapping with keys of the user's own, such as `env`. `None`, said, if the node is no mapping.
pub(crate) fn entries<'n>(node: &'n Node, what: &str, findings: &mut Findings<'_>) -> Option<&'n [Entry]> {
    if let Yaml::Mapping(entries) = &node.value {
        return Some(entries);
    }
    let message = format!("{what} must be a mapping, found {}", node.found());
    findings.error_help(code::WRONG_TYPE, node.at, message, "write `NAME: value` pairs, indented below it");
    None
}

/// Says that a key is missing.
pub(crate) fn missing(at: At, place: Place, name: &str, help: &str, findings: &mut Findings<'_>) {
    let message = format!("{} must have the key `{name}`", place.noun());
    findings.error_help(code::MISSING_KEY, at, message, help);
}
