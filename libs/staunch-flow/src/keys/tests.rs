#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::diagnostic::CODES;
use crate::limits;

use super::*;

#[test]
fn no_word_means_two_keys_of_one_place() {
    let mut seen = HashSet::new();
    for key in KEYS {
        for word in std::iter::once(&key.name).chain(key.aliases) {
            assert!(seen.insert((key.place, *word)), "{} in {:?} stands twice", word, key.place);
            assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{word} is not in kebab case");
        }
    }
    for (place, word, _) in FOREIGN {
        assert!(find(*place, word).is_none(), "{word} is our own");
    }
}

#[test]
fn every_key_that_can_be_used_is_explained() {
    for key in KEYS.iter().filter(|key| key.support == Support::Now) {
        assert!(!key.kind.is_empty() && key.doc.ends_with('.'), "{}", key.path());
    }
}

/// The numbers in the table's sentences are those that hold.
#[test]
fn the_bounds_that_are_told_are_those_that_hold() {
    let kib = |bytes: usize| format!("{} KiB", bytes.div_ceil(1_024));
    let thousands = |number: usize| {
        if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
    };
    for (place, name, told) in [
        (Place::Workflow, "name", format!("at most {} bytes", limits::ID_BYTES_MAX)),
        (Place::Workflow, "description", format!("at most {}", kib(limits::PROSE_BYTES_MAX))),
        (Place::Workflow, "inputs", format!("at most {}", limits::INPUTS_MAX)),
        (Place::Workflow, "env", format!("at most {} variables", limits::ENV_ENTRIES_MAX)),
        (Place::Workflow, "env", format!("at most {} each", kib(limits::TEMPLATE_BYTES_MAX))),
        (Place::Workflow, "steps", format!("at most {} steps", thousands(crate::parse::Budgets::default().steps_max))),
        (Place::Workflow, "max-parallel", format!("1 to {}", thousands(limits::MAX_PARALLEL_MAX as usize))),
        (Place::Input, "options", format!("1 to {} texts", thousands(limits::OPTIONS_MAX))),
        (Place::Step, "id", format!("at most {} bytes", limits::ID_BYTES_MAX)),
        (Place::Step, "run", format!("under {}", kib(limits::RUN_BYTES_MAX))),
        (Place::Retry, "attempts", format!("1 to {}", limits::ATTEMPTS_MAX)),
    ] {
        let key = find(place, name).unwrap();
        assert!(key.doc.contains(&told), "{} should say `{told}`", key.path());
    }
    let budgets = crate::parse::Budgets::default();
    let (nodes, depth, aliases) = (thousands(budgets.nodes_max), budgets.depth_max, budgets.aliases_max);
    let told = format!("{} MiB, {nodes} values, {depth} levels and {aliases} aliases", budgets.bytes_max >> 20);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/workflow-file.md");
    assert!(std::fs::read_to_string(page).unwrap().contains(&told), "the page should say `{told}`");
}

/// What stands between two markers of a page is printed from the code. `UPDATE_DOCS=1` writes it.
fn printed(page: &Path, name: &str, content: &str) {
    let text = std::fs::read_to_string(page).unwrap();
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let start = text.find(&begin).unwrap() + begin.len();
    let stop = text.find(&end).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        // Another test reads the page meanwhile: it must never see half of it.
        let new = page.with_extension(name);
        std::fs::write(&new, format!("{}\n{}\n\n{}", &text[..start], content.trim(), &text[stop..])).unwrap();
        std::fs::rename(new, page).unwrap();
        return;
    }
    assert_eq!(text[start..stop].trim(), content.trim(), "UPDATE_DOCS=1 cargo test -p staunch-flow writes it anew");
}

#[test]
fn the_manual_is_printed_from_the_tables() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/workflow-file.md");
    printed(&page, "keys", &manual());
    let mut codes = "| Code | Meaning |\n|---|---|\n".to_owned();
    for (code, meaning) in CODES {
        let _ = writeln!(codes, "| `{code}` | {meaning} |");
    }
    printed(&page, "codes", &codes);
}

/// The Markdown blocks marked as YAML in the manual are whole files that work.
#[test]
fn the_manuals_examples_parse() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/workflow-file.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut examples = 0;
    for block in text.split("```yaml\n").skip(1) {
        let example = block.split("```").next().unwrap();
        let parsed = crate::parse::parse(example.as_bytes(), "example", &crate::parse::Budgets::default());
        let said: Vec<String> =
            parsed.diagnostics.iter().map(|said| said.render("example.yaml", example, false)).collect();
        assert!(said.is_empty(), "{}", said.join("\n"));
        examples += 1;
    }
    assert!(examples >= 4, "only {examples} examples found");
}
