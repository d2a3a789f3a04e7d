//! What the expressions of a file name: whether it is there, and whether it is there in time.

use std::collections::HashMap;

use crate::diagnostic::code;
use crate::expr::{Name, Template};
use crate::findings::{At, Findings, quoted};
use crate::graph::{Ancestors, StepPlace};
use crate::parse::place_in;
use crate::workflow::{Need, Workflow};

/// A template of the file and its place.
pub(crate) struct Use {
    /// Where its scalar stands.
    pub(crate) at: At,
    /// The template.
    pub(crate) template: Template,
    /// The step it belongs to; `None` for the workflow's own.
    pub(crate) step: Option<usize>,
}

/// What the expressions can name.
pub(crate) struct Scene<'s> {
    /// Its inputs.
    pub(crate) workflow: &'s Workflow,
    /// Its steps.
    pub(crate) places: &'s [StepPlace],
    /// What each step needs.
    pub(crate) needs: &'s [Vec<Need>],
    /// The steps that are in no circle, in order.
    pub(crate) order: &'s [usize],
}

/// Names that every expression sees.
const ROOTS: [&str; 5] = ["inputs", "steps", "run", "trigger", "env"];
/// Names of the language that this version does not know yet.
const LATER: [&str; 5] = ["secrets", "matrix", "strategy", "item", "hooks"];
/// What a step has.
const STEP_PARTS: [&str; 3] = ["outcome", "outputs", "exit_code"];

/// Checks every name of every template.
pub(crate) fn check(scene: &Scene<'_>, uses: &[Use], findings: &mut Findings<'_>) {
    let ids: HashMap<&str, usize> =
        scene.places.iter().enumerate().map(|(step, place)| (place.id.as_str(), step)).collect();
    let names_steps = |used: &Use| used.template.names().any(|name| name.parts[0] == "steps");
    // The table of ancestors is only worth its memory if somebody asks.
    let ancestors = uses.iter().any(names_steps).then(|| Ancestors::of(scene.needs, scene.order));
    for used in uses {
        for name in used.template.names() {
            let [root, rest @ ..] = name.parts.as_slice() else { continue };
            let spot = Spot { name, used };
            match (root.as_str(), rest.first()) {
                ("inputs", Some(input)) => scene.input(input, &spot, findings),
                ("steps", Some(id)) => match ids.get(id.as_str()) {
                    Some(step) => scene.step(*step, &spot, ancestors.as_ref(), findings),
                    None => scene.unknown_step(id, &spot, findings),
                },
                (root, _) if ROOTS.contains(&root) => {}
                (root, _) if LATER.contains(&root) => {
                    let message = format!("`{root}` in an expression is not supported yet");
                    findings.error(code::NOT_SUPPORTED, spot.at(findings), message);
                }
                (root, _) => unknown_root(root, &spot, findings),
            }
        }
    }
}

/// One name of one template.
struct Spot<'u> {
    name: &'u Name,
    used: &'u Use,
}

impl Spot<'_> {
    /// Where the name stands in the file, up to its last letter. Looking for it reads the whole template, and a file can
    /// have many thousand names: so this is asked only when there is something to say, and somebody to hear it.
    fn at(&self, findings: &Findings<'_>) -> At {
        let whole = self.used.at;
        if findings.is_full() {
            return whole;
        }
        let place = place_in(findings.text(), whole, self.used.template.source(), self.name.offset);
        let Some(at) = place else { return whole };
        let written = findings.text().get(at.start..at.end).unwrap_or_default();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        At { start: at.start, end: at.start + written.find(|c| !is_part(c)).unwrap_or(written.len()) }
    }
}

impl Scene<'_> {
    fn input(&self, input: &str, spot: &Spot<'_>, findings: &mut Findings<'_>) {
        let declared = || self.workflow.inputs.iter().map(|declared| declared.name.as_str());
        if !declared().any(|name| name == input) {
            let message = format!("there is no input {}", quoted(input));
            let otherwise = Some("declare it under `inputs:`".to_owned());
            findings.unknown(code::UNKNOWN_INPUT, spot.at(findings), message, input, declared(), otherwise);
        }
    }

    fn unknown_step(&self, id: &str, spot: &Spot<'_>, findings: &mut Findings<'_>) {
        let message = format!("there is no step {}", quoted(id));
        let ids = self.places.iter().map(|place| place.id.as_str());
        findings.unknown(code::UNKNOWN_STEP, spot.at(findings), message, id, ids, None);
    }

    /// A step that is there: does the expression ask what it has, and when it has it?
    fn step(&self, step: usize, spot: &Spot<'_>, ancestors: Option<&Ancestors>, findings: &mut Findings<'_>) {
        if let Some(part) = spot.name.parts.get(2).filter(|part| !STEP_PARTS.contains(&part.as_str())) {
            let message = format!("a step has no {} in an expression", quoted(part));
            let otherwise = Some("it has `outcome`, `outputs` and `exit_code`".to_owned());
            findings.unknown(code::UNKNOWN_NAME, spot.at(findings), message, part, STEP_PARTS, otherwise);
        }
        // `| default(...)` says that its absence is thought of.
        if spot.name.guarded {
            return;
        }
        let id = quoted(&self.places[step].id);
        let (message, help) = match spot.used.step {
            None => (
                format!("every step is given the workflow's `env`, also those that start before step {id} is over"),
                "move the variable to the `env` of the steps that come after it".to_owned(),
            ),
            Some(reader) if reader == step => (
                format!("step {id} reads its own result, which it does not have yet"),
                "read the result of an earlier step".to_owned(),
            ),
            Some(reader) if ancestors.is_some_and(|ancestors| !ancestors.holds(reader, step)) => (
                format!("step {id} may not be over when step {} reads it", quoted(&self.places[reader].id)),
                format!("add {id} to `needs:`"),
            ),
            Some(_) => return,
        };
        findings.warning(code::NOT_ANCESTOR, spot.at(findings), message, help);
    }
}

fn unknown_root(root: &str, spot: &Spot<'_>, findings: &mut Findings<'_>) {
    let message = format!("{} is not defined", quoted(root));
    let otherwise = match root {
        "github" | "forge" | "gitea" => {
            Some("there is no such name here: use `run`, `trigger`, `inputs` or `env`".to_owned())
        }
        _ => Some(format!("expressions know `{}`; a text needs quotes", ROOTS.join("`, `"))),
    };
    findings.unknown(code::UNKNOWN_NAME, spot.at(findings), message, root, ROOTS, otherwise);
}

#[cfg(test)]
mod tests;
