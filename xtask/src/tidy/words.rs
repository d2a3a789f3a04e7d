//! One thing, one word; and words that say nothing are not ours.

use super::check::Complaint;
use super::source::Source;

/// They fit everything, so they tell nothing (ARCHITECTURE.md, "Words").
const BANNED: &[&str] = &["manager", "service", "helper", "util", "common", "context", "data", "item"];

/// What may stand before the name of a type or a module.
const KINDS: &[&str] = &["struct", "enum", "trait", "union", "mod", "type"];

/// Names of files, modules and types; names of the tests of ground rows.
pub(super) fn check(source: &Source<'_>) -> Vec<Complaint> {
    let complain = |line, rule, message| Complaint { path: source.path.to_owned(), line, rule, message };
    let mut complaints = Vec::new();
    for name in source.names() {
        if let Some(word) = banned(name) {
            complaints.push(complain(0, "word", format!("`{name}`: nothing of ours is called {word}")));
        }
    }
    for (number, line) in source.code.lines().enumerate() {
        if let Some(name) = named(line)
            && let Some(word) = banned(name)
        {
            complaints.push(complain(number + 1, "word", format!("`{name}`: nothing of ours is called {word}")));
        }
    }
    complaints.extend(row_names(source));
    complaints
}

/// The type or module that a line names, if it does. An associated `type Item = ...` is some trait's word, not ours.
fn named(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    let kind = words.find(|word| !matches!(*word, "pub" | "crate" | "super" | "in" | "unsafe"))?;
    let indented_type = kind == "type" && line.starts_with(' ');
    if KINDS.contains(&kind) && !indented_type { words.next() } else { None }
}

/// The banned word in a name, in `CamelCase` or `snake_case`, one or many.
fn banned(name: &str) -> Option<&'static str> {
    let mut spaced = String::new();
    for c in name.chars() {
        if c.is_uppercase() || c == '_' || c == '-' {
            spaced.push(' ');
        }
        spaced.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
    }
    let is = |word: &str, banned: &str| word == banned || word.strip_suffix('s') == Some(banned);
    BANNED.iter().copied().find(|banned| spaced.split(' ').any(|word| is(word, banned)))
}

/// A test of a ground row is called `ground_g5_what_it_proves`, so that the row finds its tests.
fn row_names(source: &Source<'_>) -> Vec<Complaint> {
    let lines: Vec<&str> = source.code.lines().collect();
    let mut complaints = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let Some(at) = line.find("fn ground_") else { continue };
        let name: String = line[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let well_formed = name.strip_prefix("ground_g").is_some_and(|rest| {
            let mut rest = rest.chars();
            rest.next().is_some_and(|row| ('1'..='9').contains(&row))
                && rest.next() == Some('_')
                && rest.next().is_some()
        });
        // A file under `tests/` may have a harness of its own, without attributes.
        let is_test = source.is_test()
            || lines[..i].iter().rev().take_while(|l| !l.trim().is_empty()).any(|l| l.contains("test"));
        if !well_formed || !is_test {
            let message =
                format!("`{name}`: a test of a ground row is a #[test] called ground_g1_... to ground_g9_...");
            complaints.push(Complaint { path: source.path.to_owned(), line: i + 1, rule: "ground-row", message });
        }
    }
    complaints
}

/// Paths that exist on one machine only, in any text file. `checkout` is such a one: `/where/`.
pub(super) fn check_text(path: &str, text: &str, checkout: &str) -> Vec<Complaint> {
    // Where a checkout may stand on any machine: these say nothing about one.
    let ordinary = ["/tmp/", "/usr/", "/var/", "/opt/", "/srv/", "/mnt/", "/etc/", "//"];
    let mut prefixes = vec!["/home/", "/root/", "/Users/"];
    if !ordinary.contains(&checkout) && !prefixes.contains(&checkout) {
        prefixes.push(checkout);
    }
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let found = prefixes.iter().find(|prefix| {
            // Only at the beginning of a path: `<data>/home/` is somebody's own folder.
            let inside = |c: char| c.is_alphanumeric() || "/>})]$._-*~".contains(c);
            line.match_indices(**prefix).any(|(at, _)| !line[..at].ends_with(inside))
        });
        if let Some(prefix) = found {
            let message = format!("a path below {prefix} is true on one machine only");
            complaints.push(Complaint { path: path.to_owned(), line: number + 1, rule: "machine-path", message });
        }
    }
    complaints
}
