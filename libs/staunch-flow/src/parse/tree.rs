//! The YAML of a file as a tree in which every key and value knows its place.
//!
//! The parser's events become [`Node`]s under the file's budgets, in one pass and without recursion, so that neither
//! deep nesting nor a "billion laughs" can cost more than the budgets say. Scalars stay as they are written: whether
//! `no` or `012` is a text or something else is decided by the key that wants it, never by the YAML.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::rc::Rc;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle};

use crate::diagnostic::code;
use crate::findings::{At, Findings, quoted};
use crate::limits::REPLAY_DIVISOR;
use crate::parse::file::Budgets;
use crate::parse::syntax;

/// A value and its place. An alias shares the node of its anchor.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where it stands; for an alias, where its anchor stands.
    pub(crate) at: At,
    /// What it is.
    pub(crate) value: Yaml,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Yaml {
    /// Text as written, and whether it is plain (without quotes and not a block).
    Scalar {
        /// After YAML's escapes and folding.
        text: String,
        /// Plain scalars may be numbers, booleans or null; all others are text.
        plain: bool,
    },
    /// `- a` or `[a]`.
    List(Vec<Rc<Node>>),
    /// `k: v` or `{k: v}`, merge keys resolved, no key twice.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The key's text.
    pub(crate) name: String,
    /// Where the key stands.
    pub(crate) at: At,
    /// The value.
    pub(crate) value: Rc<Node>,
}

impl Node {
    /// Whether it is YAML's null: nothing, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Yaml::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What to call it in "expected ..., found ...".
    pub(crate) fn found(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Yaml::Scalar { plain: false, .. } => "a text",
            Yaml::Scalar { text, .. } if matches!(text.as_str(), "true" | "false") => "a boolean",
            Yaml::Scalar { text, .. } if text.parse::<f64>().is_ok() => "a number",
            Yaml::Scalar { .. } => "a text",
            Yaml::List(_) => "a list",
            Yaml::Mapping(_) => "a mapping",
        }
    }
}

/// Reads the one document of `findings.text()`. `None` if there is none or if it cannot be read to its end; that is
/// said then.
pub(crate) fn read(budgets: &Budgets, findings: &mut Findings<'_>) -> Option<Rc<Node>> {
    let text = findings.text();
    let mut options = granit_parser::options! {
        // A little above our own depth, whose message is clearer, so that ours comes first.
        flow_nesting_limit: budgets.depth_max + 8,
        block_nesting_limit: budgets.depth_max + 8,
    };
    options.set_emit_comments(false);
    let mut tree = Tree {
        budgets,
        findings,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        nodes: 0,
        aliases: 0,
        replayed_bytes: 0,
        documents: 0,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => {
                let at = span.byte_range().map_or(At::default(), |range| At { start: range.start, end: range.end });
                tree.take(event, at)
            }
            Err(error) => {
                syntax::say(&error, budgets, tree.findings);
                Err(Stop)
            }
        };
        if step.is_err() {
            return None;
        }
    }
    tree.root
}

/// Reading cannot go on; why has been said.
struct Stop;

/// How much a finished node amounts to when an alias replays it.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    height: usize,
}

impl Size {
    fn add(&mut self, child: Self) {
        self.nodes += child.nodes;
        self.bytes += child.bytes;
        self.height = self.height.max(child.height + 1);
    }
}

/// A collection whose end has not come yet.
struct Open {
    at: At,
    anchor: usize,
    size: Size,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Rc<Node>>),
    Mapping { entries: Vec<Entry>, places: HashMap<String, At>, merges: Vec<Rc<Node>>, key: Option<OpenKey> },
}

/// A key whose value has not come yet.
struct OpenKey {
    name: String,
    at: At,
    merge: bool,
}

struct Tree<'a, 't> {
    budgets: &'a Budgets,
    findings: &'a mut Findings<'t>,
    open: Vec<Open>,
    root: Option<Rc<Node>>,
    anchors: HashMap<usize, (Rc<Node>, Size)>,
    nodes: usize,
    aliases: usize,
    replayed_bytes: usize,
    documents: usize,
}

impl Tree<'_, '_> {
    fn take(&mut self, event: Event<'_>, at: At) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(..) => self.document(at),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = self.is_text_tag(tag.as_deref(), at);
                self.charge(1, at)?;
                self.scalar(text.into_owned(), style == ScalarStyle::Plain && !is_text, anchor, at)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.is_text_tag(tag.as_deref(), at);
                self.enter(OpenKind::List(Vec::new()), anchor, at)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.is_text_tag(tag.as_deref(), at);
                let kind =
                    OpenKind::Mapping { entries: Vec::new(), places: HashMap::new(), merges: Vec::new(), key: None };
                self.enter(kind, anchor, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(at),
            Event::Alias(anchor) => self.alias(anchor, at),
            _ => Ok(()),
        }
    }

    fn stop(&mut self, code: &'static str, at: At, message: impl Into<String>, help: &str) -> Result<(), Stop> {
        self.findings.error_help(code, at, message, help);
        Err(Stop)
    }

    fn document(&mut self, at: At) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents > 1 {
            return self.stop(
                code::SEVERAL_DOCUMENTS,
                at,
                "the file holds more than one YAML document",
                "write one workflow a file, without a second `---`",
            );
        }
        Ok(())
    }

    fn charge(&mut self, nodes: usize, at: At) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.budgets.nodes_max {
            let message = format!("the file has more than {} YAML values", self.budgets.nodes_max);
            return self.stop(code::TOO_BIG, at, message, "split the workflow; what an alias repeats counts each time");
        }
        Ok(())
    }

    /// Whether a tag says "text". Other tags are refused.
    fn is_text_tag(&mut self, tag: Option<&granit_parser::Tag>, at: At) -> bool {
        let Some(tag) = tag else { return false };
        if tag.is_yaml_core_schema_tag("str") || tag.original() == "!" {
            return true;
        }
        let message = format!("the YAML tag {} has no meaning in a workflow file", quoted(&tag.original()));
        self.findings.error_help(code::TAG, at, message, "remove it");
        false
    }

    fn depth(&mut self, more: usize, at: At) -> Result<(), Stop> {
        if self.open.len() + more > self.budgets.depth_max {
            let message = format!("nested more than {} deep", self.budgets.depth_max);
            return self.stop(code::TOO_BIG, at, message, "a workflow needs only a few levels");
        }
        Ok(())
    }

    fn enter(&mut self, kind: OpenKind, anchor: usize, at: At) -> Result<(), Stop> {
        self.depth(1, at)?;
        self.charge(1, at)?;
        if matches!(self.open.last(), Some(Open { kind: OpenKind::Mapping { key: None, .. }, .. })) {
            return self.stop(
                code::SYNTAX,
                at,
                "a key must be a text, not a list or a mapping",
                "put quotes around text that starts with `[` or `{`",
            );
        }
        self.open.push(Open { at, anchor, size: Size { nodes: 1, bytes: 0, height: 1 }, kind });
        Ok(())
    }

    fn scalar(&mut self, text: String, plain: bool, anchor: usize, at: At) -> Result<(), Stop> {
        let size = Size { nodes: 1, bytes: text.len(), height: 0 };
        if let Some(Open { kind: OpenKind::Mapping { key: key @ None, .. }, size: open_size, .. }) =
            self.open.last_mut()
        {
            open_size.add(size);
            if anchor != 0 {
                let node = Node { at, value: Yaml::Scalar { text: text.clone(), plain } };
                self.anchors.insert(anchor, (Rc::new(node), size));
            }
            *key = Some(OpenKey { merge: plain && text == "<<", name: text, at });
            return Ok(());
        }
        let node = Rc::new(Node { at: trimmed(self.findings.text(), at), value: Yaml::Scalar { text, plain } });
        self.finished(node, size, anchor);
        Ok(())
    }

    fn leave(&mut self, end: At) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.kind {
            OpenKind::List(list) => Yaml::List(list),
            OpenKind::Mapping { mut entries, mut places, merges, .. } => {
                for merge in merges {
                    self.merge(&merge, &mut entries, &mut places);
                }
                Yaml::Mapping(entries)
            }
        };
        let at = trimmed(self.findings.text(), At { start: open.at.start, end: end.end.max(open.at.end) });
        self.finished(Rc::new(Node { at, value }), open.size, open.anchor);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: At) -> Result<(), Stop> {
        self.aliases += 1;
        if self.aliases > self.budgets.aliases_max {
            let message = format!("more than {} aliases", self.budgets.aliases_max);
            return self.stop(code::TOO_BIG, at, message, "repeat a value by an environment variable instead");
        }
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            return self.stop(code::SYNTAX, at, "an alias inside of its own anchor", "a value cannot contain itself");
        };
        self.charge(size.nodes, at)?;
        self.depth(size.height, at)?;
        self.replayed_bytes = self.replayed_bytes.saturating_add(size.bytes);
        let replay_bytes_max = self.budgets.bytes_max / REPLAY_DIVISOR;
        if self.replayed_bytes > replay_bytes_max {
            let message = format!("aliases repeat more than {replay_bytes_max} bytes");
            return self.stop(code::TOO_BIG, at, message, "put long scripts into files");
        }
        match &node.value {
            Yaml::Scalar { text, plain } => self.scalar(text.clone(), *plain, 0, at),
            _ if matches!(self.open.last(), Some(Open { kind: OpenKind::Mapping { key: None, .. }, .. })) => {
                self.stop(code::SYNTAX, at, "a key must be a text, not a list or a mapping", "use the alias as a value")
            }
            _ => {
                self.finished(node, size, 0);
                Ok(())
            }
        }
    }

    /// Puts a finished node where it belongs.
    fn finished(&mut self, node: Rc<Node>, size: Size, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (Rc::clone(&node), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        open.size.add(size);
        match &mut open.kind {
            OpenKind::List(list) => list.push(node),
            OpenKind::Mapping { entries, places, merges, key } => {
                let Some(key) = key.take() else { return };
                if key.merge {
                    merges.push(node);
                    return;
                }
                match places.entry(key.name.clone()) {
                    Slot::Vacant(slot) => {
                        slot.insert(key.at);
                        entries.push(Entry { name: key.name, at: key.at, value: node });
                    }
                    Slot::Occupied(slot) => duplicate(self.findings, &key.name, *slot.get(), key.at),
                }
            }
        }
    }

    /// Adds what a merge key `<<:` brings and the mapping does not say itself.
    fn merge(&mut self, merge: &Node, entries: &mut Vec<Entry>, places: &mut HashMap<String, At>) {
        let sources: Vec<&Node> = match &merge.value {
            Yaml::List(list) => list.iter().map(Rc::as_ref).collect(),
            _ => vec![merge],
        };
        for source in sources {
            let Yaml::Mapping(merged) = &source.value else {
                let message = format!("the merge key `<<` wants a mapping, found {}", source.found());
                self.findings.error_help(code::WRONG_TYPE, source.at, message, "write `<<: *anchor`");
                continue;
            };
            for entry in merged {
                if let Slot::Vacant(slot) = places.entry(entry.name.clone()) {
                    slot.insert(entry.at);
                    entries.push(entry.clone());
                }
            }
        }
    }
}

/// Says that a key stands twice in a mapping.
pub(crate) fn duplicate(findings: &mut Findings<'_>, name: &str, first: At, second: At) {
    let line = findings.line(first);
    let message = format!("the key {} stands twice in this mapping", quoted(name));
    findings.error_help(code::DUPLICATE_KEY, second, message, format!("the first is on line {line}: keep one of them"));
}

/// A range without the space and line breaks at its end.
fn trimmed(text: &str, at: At) -> At {
    let end = text.get(at.start..at.end).map_or(at.end, |part| at.start + part.trim_end().len());
    At { start: at.start, end }
}
