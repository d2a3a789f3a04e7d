//! One file: bytes in, a workflow or everything that is wrong with it out.

use crate::check;
use crate::diagnostic::{Diagnostic, code};
use crate::findings::{At, Findings};
use crate::graph;
use crate::parse::draft::Draft;
use crate::parse::head;
use crate::parse::tree;
use crate::workflow::Workflow;

/// What the parser may spend on one file.
#[derive(Clone, Copy, Debug)]
pub struct Budgets {
    /// Bytes of the file. Aliases may repeat a quarter of it.
    pub bytes_max: usize,
    /// YAML nodes, those that aliases repeat included.
    pub nodes_max: usize,
    /// Depth of nesting.
    pub depth_max: usize,
    /// Aliases.
    pub aliases_max: usize,
    /// Steps of a workflow.
    pub steps_max: usize,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { bytes_max: 1 << 20, nodes_max: 50_000, depth_max: 32, aliases_max: 100, steps_max: 5_000 }
    }
}

/// What came of a file.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The workflow, if there was no error.
    pub workflow: Option<Workflow>,
    /// Everything there is to say, in the file's order; at most 100.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses and checks one file. `stem` names the workflow if the file does not.
/// Time and memory are bounded by `budgets`, whatever the bytes are.
pub fn parse(bytes: &[u8], stem: &str, budgets: &Budgets) -> Parsed {
    let (text, fault) = readable(bytes, budgets);
    let mut findings = Findings::new(text);
    let workflow = match fault {
        Some(Fault { code, message, help }) => {
            let start = text.len();
            findings.error_help(code, At { start, end: start }, message, help);
            None
        }
        None => read(stem, budgets, &mut findings),
    };
    let workflow = workflow.filter(|_| !findings.has_errors());
    Parsed { workflow, diagnostics: findings.finish() }
}

/// Reads a text. A workflow is returned with errors too, where one could be built.
fn read(stem: &str, budgets: &Budgets, findings: &mut Findings<'_>) -> Option<Workflow> {
    let root = tree::read(budgets, findings);
    let Some(root) = root.filter(|root| !root.is_null()) else {
        if !findings.has_errors() {
            findings.error_help(
                code::EMPTY,
                At::default(),
                "the file holds no workflow",
                "the shortest workflow is `steps: [{ run: echo hello }]`",
            );
        }
        return None;
    };
    let mut draft = Draft::new(findings, budgets);
    let mut workflow = head::read(&root, stem, &mut draft)?;
    let Draft { places, uses, steps, .. } = draft;
    let needs = graph::resolve(&places, findings);
    let order = graph::order(&needs, &places, findings);
    check::check(&check::Scene { workflow: &workflow, places: &places, needs: &needs, order: &order }, &uses, findings);
    for (step, needs) in steps.into_iter().zip(needs) {
        let mut step = step?;
        step.needs = needs;
        workflow.steps.push(step);
    }
    Some(workflow)
}

/// Why bytes are not even a text.
struct Fault {
    code: &'static str,
    message: String,
    help: &'static str,
}

/// The bytes as text; or the text before the fault, and the fault.
fn readable<'b>(bytes: &'b [u8], budgets: &Budgets) -> (&'b str, Option<Fault>) {
    let fault = |code, message: String, help| Some(Fault { code, message, help });
    if bytes.len() > budgets.bytes_max {
        let message = format!("the file has {} bytes, more than {}", bytes.len(), budgets.bytes_max);
        return ("", fault(code::TOO_BIG, message, "put long scripts into files of their own"));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        let message = "the file is UTF-16, not UTF-8".to_owned();
        return ("", fault(code::BINARY, message, "save it as UTF-8"));
    }
    let nul = bytes.iter().position(|byte| *byte == 0);
    match (str::from_utf8(bytes), nul) {
        (Ok(text), None) => (text, None),
        (Ok(text), Some(at)) => (&text[..at], fault(code::BINARY, binary(at), "a workflow is a YAML text in UTF-8")),
        (Err(error), nul) => {
            let valid = str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            if let Some(at) = nul {
                let text = &valid[..valid.floor_char_boundary(at.min(valid.len()))];
                return (text, fault(code::BINARY, binary(at), "a workflow is a YAML text in UTF-8"));
            }
            let message = format!("byte 0x{:02x} at offset {} is not UTF-8", bytes[valid.len()], valid.len());
            (valid, fault(code::NOT_UTF8, message, "save the file as UTF-8"))
        }
    }
}

fn binary(at: usize) -> String {
    format!("the file is binary: there is a NUL byte at offset {at}")
}
