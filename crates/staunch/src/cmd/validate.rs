//! `staunch validate`, and the check before a local run.

use std::io::Read;
use std::path::Path;

use serde_json::json;
use staunch_engine::Limits;
use staunch_flow::{Budgets, Parsed, Severity};

use crate::cli::{AllFlags, Validate};
use crate::config::{Config, Sources};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Ink, Paint, Terminal};

/// A workflow file and what came of it.
pub(super) struct Checked {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Its name without directory and ending.
    pub(super) stem: String,
    /// What came of it.
    pub(super) parsed: Parsed,
}

/// Checks every file and says all there is to say about each.
pub(super) fn run(arguments: &Validate, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let limits = Config::load(&Sources::of_process(all.config.clone()))?.limits;
    let mut exit = Exit::Ok;
    let mut files = Vec::new();
    for path in &arguments.files {
        let checked = match check(path, &limits) {
            Ok(checked) => checked,
            // The other files are still worth a look.
            Err(failure) => {
                terminal.fail(&failure);
                files.push(json!({ "file": path, "valid": false, "workflow": null, "error": failure.message, "diagnostics": [] }));
                exit = failure.exit;
                continue;
            }
        };
        let parsed = &checked.parsed;
        if parsed.workflow.is_none() && exit == Exit::Ok {
            exit = Exit::InvalidWorkflow;
        }
        if arguments.json.json {
            let name = parsed.workflow.as_ref().map(|workflow| workflow.name.as_str());
            let valid = name.is_some();
            files.push(json!({ "file": path, "valid": valid, "workflow": name, "error": null, "diagnostics": parsed.diagnostics }));
        } else {
            let text = render(path, &checked, terminal.out_paint());
            terminal.line(text);
        }
    }
    if arguments.json.json {
        terminal.json(&json!({ "valid": exit == Exit::Ok, "files": files }))?;
    }
    Ok(exit)
}

/// Reads and parses a workflow file.
pub(super) fn check(path: &Path, limits: &Limits) -> Result<Checked, Failure> {
    let budgets = Budgets {
        bytes_max: limits.workflow_bytes_max as usize,
        steps_max: limits.steps_per_workflow_max as usize,
        ..Budgets::default()
    };
    let file = std::fs::File::open(path).map_err(|error| Failure::file("open", path, &error))?;
    // A byte more than it may have, so that the parser is the one to refuse it, in its own words.
    let mut bytes = Vec::new();
    let mut file = file.take(u64::from(limits.workflow_bytes_max) + 1);
    file.read_to_end(&mut bytes).map_err(|error| Failure::file("read", path, &error))?;
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let parsed = staunch_flow::parse(&bytes, &stem, &budgets);
    Ok(Checked { bytes, stem, parsed })
}

/// Everything there is to say about a file, and in the last line whether it can be used.
pub(super) fn render(path: &Path, checked: &Checked, paint: Paint) -> String {
    let name = path.display().to_string();
    let text = String::from_utf8_lossy(&checked.bytes);
    let diagnostics = &checked.parsed.diagnostics;
    let mut rendered: String = diagnostics
        .iter()
        .map(|diagnostic| diagnostic.render(&name, &text, paint.is_on()).trim_end().to_owned() + "\n\n")
        .collect();
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let verdict = match &checked.parsed.workflow {
        Some(workflow) => {
            let good = paint.ink(Ink::Good, "ok").to_string();
            format!("{name}: {good}: workflow {}, {}", workflow.name, counted(workflow.steps.len(), "step"))
        }
        None => format!("{name}: {}", paint.ink(Ink::Bad, &counted(errors, "error"))),
    };
    rendered.push_str(&verdict);
    if warnings > 0 {
        rendered.push_str(&format!(", {}", paint.ink(Ink::Warn, &counted(warnings, "warning"))));
    }
    rendered
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
