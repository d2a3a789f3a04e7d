//! What may break a rule, and why.

use super::check::Complaint;

/// One file that may break one rule.
#[derive(Debug)]
pub(super) struct Exception {
    /// The file, relative to the root.
    pub(super) path: &'static str,
    /// The rule.
    pub(super) rule: &'static str,
    /// Why that is right. Read by people only, and that is enough.
    #[expect(dead_code, reason = "the table is its own documentation")]
    pub(super) reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception { path: "xtask/src/tidy/words.rs", rule: "machine-path", reason: "it spells what it looks for" },
    Exception { path: "xtask/src/tidy/tests.rs", rule: "machine-path", reason: "it spells what is looked for" },
];

/// Whether the table excuses it.
pub(super) fn excuses(complaint: &Complaint) -> bool {
    EXCEPTIONS.iter().any(|exception| exception.rule == complaint.rule && exception.path == complaint.path)
}

/// Exceptions that excused nothing.
pub(super) fn stale(excused: &[Complaint]) -> Vec<&'static Exception> {
    let used = |e: &Exception| excused.iter().any(|c| c.rule == e.rule && c.path == e.path);
    EXCEPTIONS.iter().filter(|exception| !used(exception)).collect()
}
