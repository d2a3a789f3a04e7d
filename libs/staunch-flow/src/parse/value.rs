//! Scalars and lists of them, as the keys want them: texts, numbers, booleans, durations, exit codes.
//!
//! Types are strict, so that YAML's traps cannot bite: a boolean is `true` or `false` and nothing else, a number has no
//! leading zero, a text is taken as it is written.

use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use crate::diagnostic::code;
use crate::findings::{At, Findings, quoted};
use crate::limits::{DURATION_SECONDS_MAX, EXIT_CODES_MAX};
use crate::parse::tree::{Node, Yaml};

/// A text: any scalar but null, as it is written, without NUL, at most `bytes_max` bytes.
pub(crate) fn text<'n>(node: &'n Node, what: &str, bytes_max: usize, findings: &mut Findings<'_>) -> Option<&'n str> {
    let Yaml::Scalar { text, .. } = &node.value else {
        return wrong(node, what, "a text", None, findings);
    };
    if node.is_null() {
        return wrong(node, what, "a text", Some("write `\"\"` for an empty text"), findings);
    }
    if text.len() > bytes_max {
        let message = format!("{what} has {} bytes, more than {bytes_max}", text.len());
        findings.error(code::TOO_BIG, node.at, message);
        return None;
    }
    if text.contains('\0') {
        findings.error(
            code::INVALID_VALUE,
            node.at,
            format!("{what} holds a NUL character, which no program can be given"),
        );
        return None;
    }
    Some(text)
}

/// A text in which `${{ }}` would stay as it is, and is refused therefore.
pub(crate) fn literal<'n>(
    node: &'n Node,
    what: &str,
    bytes_max: usize,
    findings: &mut Findings<'_>,
) -> Option<&'n str> {
    let text = text(node, what, bytes_max, findings)?;
    if text.contains("${{") {
        let message = format!("{what} is taken literally, `${{{{ }}}}` has no effect there");
        findings.error_help(
            code::EXPRESSION_HERE,
            node.at,
            message,
            "expressions work in `env`, `if` and `working-directory`",
        );
        return None;
    }
    Some(text)
}

/// `true` or `false`.
pub(crate) fn boolean(node: &Node, what: &str, findings: &mut Findings<'_>) -> Option<bool> {
    let Yaml::Scalar { text, plain } = &node.value else {
        return wrong(node, what, "`true` or `false`", None, findings);
    };
    match (text.as_str(), plain) {
        ("true", true) => Some(true),
        ("false", true) => Some(false),
        _ => {
            let help = match text.to_ascii_lowercase().as_str() {
                "true" | "false" if !plain => Some("write it without quotes"),
                "true" | "yes" | "on" | "y" | "1" => Some("write `true`"),
                "false" | "no" | "off" | "n" | "0" => Some("write `false`"),
                _ if text.contains("${{") => Some("expressions work in `env`, `if` and `working-directory`"),
                _ => None,
            };
            let message = format!("{what} must be `true` or `false`, found {}", shown(node));
            say(code::WRONG_TYPE, node, message, help.map(str::to_owned), findings);
            None
        }
    }
}

/// A whole number within a range, without a leading zero, sign of plus, exponent or quotes.
pub(crate) fn integer(node: &Node, what: &str, range: RangeInclusive<i64>, findings: &mut Findings<'_>) -> Option<i64> {
    let wanted = format!("a whole number from {} to {}", range.start(), range.end());
    let number = number(node, what, &wanted, findings)?;
    let fits = number.fract() == 0.0 && number.abs() < 9e15 && range.contains(&(number as i64));
    if fits {
        return Some(number as i64);
    }
    findings.error(code::INVALID_VALUE, node.at, format!("{what} must be {wanted}, found {}", shown(node)));
    None
}

/// A number within a range.
pub(crate) fn decimal(node: &Node, what: &str, range: RangeInclusive<f64>, findings: &mut Findings<'_>) -> Option<f64> {
    let wanted = format!("a number from {} to {}", range.start(), range.end());
    let number = number(node, what, &wanted, findings)?;
    if range.contains(&number) {
        return Some(number);
    }
    findings.error(code::INVALID_VALUE, node.at, format!("{what} must be {wanted}, found {}", shown(node)));
    None
}

/// A finite number in JSON's spelling.
pub(crate) fn number(node: &Node, what: &str, wanted: &str, findings: &mut Findings<'_>) -> Option<f64> {
    let Yaml::Scalar { text, plain: true } = &node.value else {
        let help = match &node.value {
            Yaml::Scalar { text, .. } if json_number(text).is_some() => Some("write it without quotes"),
            _ => None,
        };
        return wrong(node, what, wanted, help, findings);
    };
    if let Some(number) = json_number(text) {
        return Some(number);
    }
    let message = format!("{what} must be {wanted}, found {}", shown(node));
    let help = number_help(text);
    say(code::WRONG_TYPE, node, message, help, findings);
    None
}

/// A finite number if the text is one in JSON's spelling.
pub(crate) fn json_number(text: &str) -> Option<f64> {
    let is_number = text.len() <= 64 && serde_json::from_str::<serde_json::Number>(text).is_ok();
    text.parse::<f64>().ok().filter(|number| is_number && number.is_finite())
}

/// How a number in another spelling is written here.
fn number_help(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    if digits.len() > 32 {
        return None;
    }
    let based = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, base)| i64::from_str_radix(digits.strip_prefix(prefix)?, base).ok());
    if let Some(value) = based {
        return Some(format!("write it in decimal: `{value}`"));
    }
    let plain = digits.trim_start_matches('+');
    let stripped = plain.trim_start_matches('0');
    if stripped.len() < plain.len() && !stripped.is_empty() && stripped.chars().all(|c| c.is_ascii_digit()) {
        return Some(format!("leading zeros make octal numbers in some YAML versions: write `{stripped}`"));
    }
    json_number(plain).map(|value| format!("write `{value}`"))
}

/// A duration such as `500ms`, `30s`, `1h30m`; at most 365 days. Zero only if `zero` allows it.
pub(crate) fn duration(node: &Node, what: &str, zero: bool, findings: &mut Findings<'_>) -> Option<Duration> {
    let Yaml::Scalar { text, .. } = &node.value else {
        return wrong(node, what, "a duration such as `30s` or `1h30m`", None, findings);
    };
    match duration_of(text) {
        Ok(value) if value.is_zero() && !zero => {
            findings.error_help(
                code::INVALID_VALUE,
                node.at,
                format!("{what} must be longer than zero"),
                "remove the key for no limit",
            );
            None
        }
        Ok(value) => Some(value),
        Err(help) => {
            let message = format!("{what} must be a duration such as `30s` or `1h30m`, found {}", shown(node));
            findings.error_help(code::INVALID_VALUE, node.at, message, help);
            None
        }
    }
}

/// A number of minutes or seconds, as other tools write timeouts.
pub(crate) fn duration_in(node: &Node, what: &str, unit_seconds: f64, findings: &mut Findings<'_>) -> Option<Duration> {
    let max = DURATION_SECONDS_MAX as f64 / unit_seconds;
    let wanted = format!("a number above 0, at most {max}");
    let value = number(node, what, &wanted, findings)?;
    match Duration::try_from_secs_f64(value * unit_seconds) {
        Ok(duration) if value <= max && duration >= Duration::from_millis(1) => Some(duration),
        _ => {
            findings.error(code::INVALID_VALUE, node.at, format!("{what} must be {wanted}, found {}", shown(node)));
            None
        }
    }
}

/// The units of durations, longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration.
///
/// # Errors
/// What to write instead.
pub(crate) fn duration_of(text: &str) -> Result<Duration, String> {
    let syntax =
        || "write whole numbers with units, longest first: `500ms`, `30s`, `5m`, `2h`, `1d`, `1h30m`".to_owned();
    if !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit()) {
        return if text.bytes().all(|b| b == b'0') {
            Ok(Duration::ZERO)
        } else {
            Err(format!("add the unit: `{text}s` or `{text}m`"))
        };
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let value: u64 = rest[..digits].parse().map_err(|_| syntax())?;
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[digits..digits + letters];
        // Going on where the last unit was found makes units descend and stand once.
        let (_, unit_ms) = units.find(|(name, _)| *name == unit).ok_or_else(syntax)?;
        let part = value.checked_mul(*unit_ms);
        total_ms = part.and_then(|part| total_ms.checked_add(part)).ok_or_else(too_long)?;
        rest = &rest[digits + letters..];
    }
    if text.is_empty() {
        return Err(syntax());
    }
    if total_ms > DURATION_SECONDS_MAX * 1_000 {
        return Err(too_long());
    }
    Ok(Duration::from_millis(total_ms))
}

fn too_long() -> String {
    "the longest duration is 365d".to_owned()
}

/// A text or a list of texts, each with its place.
pub(crate) fn texts<'n>(
    node: &'n Node,
    what: &str,
    bytes_max: usize,
    findings: &mut Findings<'_>,
) -> Option<Vec<(At, &'n str)>> {
    match &node.value {
        Yaml::Mapping(_) => wrong(node, what, "a list of texts", None, findings),
        Yaml::Scalar { .. } => text(node, what, bytes_max, findings).map(|text| vec![(node.at, text)]),
        Yaml::List(list) => {
            let entry = format!("an entry of {what}");
            let texts: Vec<_> =
                list.iter().map(|node| text(node, &entry, bytes_max, findings).map(|text| (node.at, text))).collect();
            texts.into_iter().collect()
        }
    }
}

/// A list of exit codes, each from 1 to 255.
pub(crate) fn exit_codes(list: &[Rc<Node>], what: &str, at: At, findings: &mut Findings<'_>) -> Option<Vec<i32>> {
    if list.is_empty() || list.len() > EXIT_CODES_MAX {
        findings.error(
            code::INVALID_VALUE,
            at,
            format!("{what} must list 1 to {EXIT_CODES_MAX} exit codes, found {}", list.len()),
        );
        return None;
    }
    let entry = format!("an exit code of {what}");
    let mut codes = Vec::with_capacity(list.len());
    for node in list {
        codes.push(integer(node, &entry, 1..=255, findings).map(|code| code as i32));
    }
    codes.into_iter().collect()
}

/// One of a few words.
pub(crate) fn word<T: Copy>(
    node: &Node,
    what: &str,
    words: &[(&'static str, T)],
    findings: &mut Findings<'_>,
) -> Option<T> {
    let names: Vec<String> = words.iter().map(|(name, _)| format!("`{name}`")).collect();
    let wanted = names.join(" or ");
    let Yaml::Scalar { text, .. } = &node.value else {
        return wrong(node, what, &wanted, None, findings);
    };
    let known = words.iter().find(|(name, _)| name == text).map(|(_, value)| *value);
    if known.is_none() {
        let message = format!("{what} must be {wanted}, found {}", shown(node));
        findings.unknown(code::INVALID_VALUE, node.at, message, text, words.iter().map(|(name, _)| *name), None);
    }
    known
}

/// Says that a node has another type than its key wants.
pub(crate) fn wrong<T>(
    node: &Node,
    what: &str,
    wanted: &str,
    help: Option<&str>,
    findings: &mut Findings<'_>,
) -> Option<T> {
    let message = format!("{what} must be {wanted}, found {}", node.found());
    say(code::WRONG_TYPE, node, message, help.map(str::to_owned), findings);
    None
}

fn say(code: &'static str, node: &Node, message: String, help: Option<String>, findings: &mut Findings<'_>) {
    match help {
        Some(help) => findings.error_help(code, node.at, message, help),
        None => findings.error(code, node.at, message),
    }
}

/// The value itself where it is short, as in "found `12x`".
fn shown(node: &Node) -> String {
    match &node.value {
        Yaml::Scalar { text, plain } if !node.is_null() => {
            format!("{}{}", if *plain { "" } else { "the text " }, quoted(text))
        }
        _ => node.found().to_owned(),
    }
}
