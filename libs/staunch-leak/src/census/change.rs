//! What is more or less between two censuses, in words.

use std::collections::BTreeMap;
use std::fmt;

use super::Census;
use crate::alloc::Tally;

/// New ones of a kind that are named; the rest is counted.
const NAMED_MAX: usize = 8;

/// What can leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Live bytes of the allocator.
    Bytes,
    /// Live blocks of the allocator.
    Blocks,
    /// File descriptors.
    Fd,
    /// Threads.
    Thread,
    /// Child processes.
    Child,
    /// Files under the directory.
    File,
    /// A count of the process's own.
    Count,
}

impl Resource {
    fn word(self) -> &'static str {
        match self {
            Self::Bytes => "live bytes",
            Self::Blocks => "live blocks",
            Self::Fd => "fd",
            Self::Thread => "thread",
            Self::Child => "child",
            Self::File => "file",
            Self::Count => "count",
        }
    }
}

/// One kind of thing of which there is more or less than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is.
    pub resource: Resource,
    /// Which kind: what a descriptor leads to, a thread's name, a child's name, a counter's name.
    pub kind: String,
    /// How many there were.
    pub before: u64,
    /// How many there are.
    pub after: u64,
    /// Those that are new, by number: `7 -> /dev/null`.
    pub new: Vec<String>,
}

/// All that is more or less. Nothing is what a gate wants to see.
///
/// It prints a line for each change: `fd /dev/null: 0 -> 1 (+1): 7 -> /dev/null`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// By resource, then kind.
    pub changes: Vec<Change>,
}

impl Difference {
    pub(super) fn between(before: &Census, after: &Census) -> Self {
        let mut changes = Vec::new();
        kinds(&mut changes, Resource::Fd, &before.fds, &after.fds, kind_of_target);
        kinds(&mut changes, Resource::Thread, &before.threads, &after.threads, str::to_owned);
        kinds(&mut changes, Resource::Child, &before.children, &after.children, str::to_owned);
        if before.files.len() != after.files.len() {
            let new = after.files.iter().filter(|path| before.files.binary_search(path).is_err());
            let new = new.map(|path| path.display().to_string()).collect();
            let (before, after) = (before.files.len() as u64, after.files.len() as u64);
            changes.push(Change { resource: Resource::File, kind: String::new(), before, after, new });
        }
        let names: std::collections::BTreeSet<&String> = before.counts.keys().chain(after.counts.keys()).collect();
        for name in names {
            // A counter that is not there yet, such as of a task kind never seen, counts none.
            let of = |census: &Census| census.counts.get(name).copied().unwrap_or(0);
            push_number(&mut changes, Resource::Count, name, of(before), of(after));
        }
        Self { changes }
    }

    /// What the allocator counted, in front of the rest.
    pub(crate) fn with_memory(mut self, before: Tally, after: Tally) -> Self {
        let mut memory = Vec::new();
        push_number(&mut memory, Resource::Bytes, "", before.bytes, after.bytes);
        push_number(&mut memory, Resource::Blocks, "", before.blocks, after.blocks);
        self.changes.splice(..0, memory);
        self
    }

    /// Whether all is as it was.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether something is more than it was, not only less.
    pub fn has_growth(&self) -> bool {
        self.changes.iter().any(|change| change.after > change.before)
    }

    /// Whether memory is more than it was.
    pub(crate) fn has_memory(&self) -> bool {
        let is_memory = |change: &&Change| matches!(change.resource, Resource::Bytes | Resource::Blocks);
        self.changes.iter().filter(is_memory).any(|change| change.after > change.before)
    }
}

fn push_number(changes: &mut Vec<Change>, resource: Resource, kind: &str, before: u64, after: u64) {
    if before != after {
        changes.push(Change { resource, kind: kind.to_owned(), before, after, new: Vec::new() });
    }
}

/// `socket:[4711]` is a socket; a path is itself; a deleted file is still that file.
fn kind_of_target(target: &str) -> String {
    match target.split_once(":[") {
        Some((kind, inode)) if inode.trim_end_matches(']').bytes().all(|byte| byte.is_ascii_digit()) => kind.to_owned(),
        _ => target.to_owned(),
    }
}

fn kinds(
    changes: &mut Vec<Change>,
    resource: Resource,
    before: &BTreeMap<u32, String>,
    after: &BTreeMap<u32, String>,
    kind: impl Fn(&str) -> String,
) {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for name in before.values() {
        counts.entry(kind(name)).or_default().0 += 1;
    }
    for name in after.values() {
        counts.entry(kind(name)).or_default().1 += 1;
    }
    for (name, (count_before, count_after)) in counts {
        if count_before == count_after {
            continue;
        }
        let new = after.iter().filter(|(number, target)| kind(target) == name && before.get(number) != Some(target));
        let new = new.map(|(number, target)| format!("{number} -> {target}")).collect();
        changes.push(Change { resource, kind: name, before: count_before, after: count_after, new });
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource.word())?;
        if !self.kind.is_empty() {
            write!(f, " {}", self.kind)?;
        }
        let (sign, by) =
            if self.after >= self.before { ('+', self.after - self.before) } else { ('-', self.before - self.after) };
        write!(f, ": {} -> {} ({sign}{by})", self.before, self.after)?;
        for (n, name) in self.new.iter().take(NAMED_MAX).enumerate() {
            write!(f, "{}{name}", if n == 0 { ": " } else { ", " })?;
        }
        match self.new.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, change) in self.changes.iter().enumerate() {
            write!(f, "{}{change}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}
