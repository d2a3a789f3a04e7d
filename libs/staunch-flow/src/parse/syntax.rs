//! What the YAML parser says about a broken file, with more help where beginners get lost.

use serde_saphyr::granit_parser::{ErrorKind, ScanError};

use crate::diagnostic::code;
use crate::findings::{At, Findings};
use crate::parse::file::Budgets;

/// Says it.
pub(crate) fn say(error: &ScanError, budgets: &Budgets, findings: &mut Findings<'_>) {
    let text = findings.text();
    let start = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let at =
        At { start, end: start + text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8) };
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        let message = format!("nested more than {} deep", budgets.depth_max);
        findings.error_help(code::TOO_BIG, at, message, "a workflow needs only a few levels");
        return;
    }
    let help = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => Some("indent with spaces: YAML does not allow tabs there"),
        ErrorKind::MappingValueNotAllowed => {
            Some("put quotes around a text that holds `: `, or check the indentation of this line")
        }
        ErrorKind::UnclosedQuotedScalar => Some("close the quote"),
        ErrorKind::UnclosedFlowCollection { open: '{' } => {
            Some("close the `{`, or put quotes around a text that starts with it")
        }
        ErrorKind::UnclosedFlowCollection { .. } => {
            Some("close the bracket, or put quotes around a text that starts with it")
        }
        ErrorKind::UnexpectedCharacter { .. } => Some("put quotes around a text that starts with a special character"),
        ErrorKind::UnknownAnchor => {
            Some("an alias `*name` needs an anchor `&name` before it; a text that starts with `*` needs quotes")
        }
        ErrorKind::UnknownQuotedScalarEscape => Some("use single quotes for text with backslashes"),
        _ => None,
    };
    let message = format!("invalid YAML: {}", error.info());
    match help {
        Some(help) => findings.error_help(code::SYNTAX, at, message, help),
        None => findings.error(code::SYNTAX, at, message),
    }
}
