//! What has been read of a file so far: steps with their places, and every expression with its own.

use crate::check::Use;
use crate::diagnostic::code;
use crate::expr::{ExprError, Template};
use crate::findings::{At, Findings, quoted};
use crate::graph::StepPlace;
use crate::limits::{ENV_ENTRIES_MAX, ENV_NAME_BYTES_MAX, TEMPLATE_BYTES_MAX};
use crate::parse::fields::entries;
use crate::parse::file::Budgets;
use crate::parse::tree::Node;
use crate::parse::value;
use crate::workflow::Step;

/// A workflow in the making.
pub(crate) struct Draft<'f, 't> {
    /// What there is to say.
    pub(crate) findings: &'f mut Findings<'t>,
    /// What may be spent.
    pub(crate) budgets: &'f Budgets,
    /// For each step its id, what it needs, and where.
    pub(crate) places: Vec<StepPlace>,
    /// For each step what it says; `None` if it is too broken to say anything.
    pub(crate) steps: Vec<Option<Step>>,
    /// The templates that name something.
    pub(crate) uses: Vec<Use>,
}

/// Variables that every step is given by Staunch, over whatever a file says; `STAUNCH_INPUT_...` too.
const RESERVED: [&str; 10] = [
    "STAUNCH_WORKSPACE",
    "STAUNCH_TMP",
    "STAUNCH_OUTPUT",
    "STAUNCH_WORKFLOW",
    "STAUNCH_RUN_ID",
    "STAUNCH_STEP_ID",
    "STAUNCH_ATTEMPT",
    "STAUNCH_LOSSES",
    "STAUNCH_IDEMPOTENCY_KEY",
    "STAUNCH_INSTANCE",
];

impl<'f, 't> Draft<'f, 't> {
    /// Nothing yet.
    pub(crate) fn new(findings: &'f mut Findings<'t>, budgets: &'f Budgets) -> Self {
        Self { findings, budgets, places: Vec::new(), steps: Vec::new(), uses: Vec::new() }
    }

    /// A text with `${{ }}`. Its expressions are checked later, when all steps are known: as those of `step`, or as the
    /// workflow's.
    pub(crate) fn template(&mut self, node: &Node, what: &str, step: Option<usize>) -> Option<Template> {
        self.compiled(node, what, step, Template::parse)
    }

    /// An `if:`.
    pub(crate) fn condition(&mut self, node: &Node, step: usize) -> Option<Template> {
        self.compiled(node, "`if`", Some(step), Template::parse_condition)
    }

    fn compiled(
        &mut self,
        node: &Node,
        what: &str,
        step: Option<usize>,
        parse: fn(&str) -> Result<Template, ExprError>,
    ) -> Option<Template> {
        let text = value::text(node, what, TEMPLATE_BYTES_MAX, self.findings)?;
        match parse(text) {
            Ok(template) => {
                if template.names().next().is_some() {
                    self.uses.push(Use { at: node.at, template: template.clone(), step });
                }
                Some(template)
            }
            Err(error) => {
                let at = place_in(self.findings.text(), node.at, text, error.offset).unwrap_or(node.at);
                self.findings.error(code::EXPRESSION, at, format!("in {what}: {}", error.message));
                None
            }
        }
    }

    /// An `env:`, of the workflow if there is no step.
    pub(crate) fn env(&mut self, node: &Node, step: Option<usize>) -> Vec<(String, Template)> {
        let Some(entries) = entries(node, "`env`", self.findings) else { return Vec::new() };
        if entries.len() > ENV_ENTRIES_MAX {
            let message = format!("`env` has {} variables, more than {ENV_ENTRIES_MAX}", entries.len());
            self.findings.error(code::TOO_BIG, node.at, message);
            return Vec::new();
        }
        let mut env = Vec::with_capacity(entries.len());
        for entry in entries {
            self.variable(&entry.name, entry.at);
            let what = format!("the variable {}", quoted(&entry.name));
            if let Some(template) = self.template(&entry.value, &what, step) {
                env.push((entry.name.clone(), template));
            }
        }
        env
    }

    /// Checks a variable's name.
    fn variable(&mut self, name: &str, at: At) {
        let charset = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let length = 1..=ENV_NAME_BYTES_MAX;
        if !length.contains(&name.len()) || !name.bytes().all(charset) || name.as_bytes()[0].is_ascii_digit() {
            let message = format!("{} cannot name an environment variable", quoted(name));
            self.findings.error_help(
                code::INVALID_ID,
                at,
                message,
                "use letters, digits and `_`, at most 256, not starting with a digit",
            );
        } else if RESERVED.contains(&name) || name.starts_with("STAUNCH_INPUT_") {
            let message = format!("`{name}` is set by Staunch itself");
            self.findings.error_help(code::RESERVED, at, message, "use another name");
        }
    }
}

/// Where a part of a scalar stands in the file, up to the end of its line or expression. Exact if the scalar is written
/// as it reads; else it is looked for. `None` if YAML's escapes or folding hide it.
pub(crate) fn place_in(file: &str, at: At, text: &str, offset: usize) -> Option<At> {
    let written = file.get(at.start..at.end)?;
    let line = text.get(offset..)?.lines().next()?;
    let near = line.char_indices().nth(80).map_or(line, |(end, _)| &line[..end]);
    let shown = near.split("}}").next().unwrap_or(near).trim_end();
    if shown.is_empty() {
        return None;
    }
    // The same words may stand there more than once: it is the one with as many of them before.
    let earlier = text[..offset].matches(shown).count();
    let (start, _) = written.match_indices(shown).nth(earlier)?;
    Some(At { start: at.start + start, end: at.start + start + shown.len() })
}
