//! Workflows, their files and what is wrong with them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use staunch_engine::Known;
use staunch_flow::{InputType, StepIndex};
use staunch_store::Timestamp;
use utoipa::ToSchema;

/// A workflow that can be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Workflow {
    /// Its name.
    pub name: String,
    /// The file it comes from, relative to the workflows directory.
    pub file: Option<String>,
    /// Its current text, by SHA-256 in hexadecimal; null if it was only checked.
    pub revision: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// When the current text became current, RFC 3339 in UTC.
    pub updated_at: Option<String>,
    /// What a run can be given.
    pub inputs: Vec<Input>,
    /// Its steps, in the file's order.
    pub steps: Vec<StepOutline>,
    /// Warnings about the file.
    pub warnings: Vec<Diagnostic>,
}

/// A workflow with its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowDetail {
    /// The workflow.
    #[serde(flatten)]
    pub workflow: Workflow,
    /// The file, as written.
    pub text: String,
}

/// All workflows there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowList {
    /// Those that can be run, by name.
    pub items: Vec<Workflow>,
    /// Files with errors. A workflow whose file broke keeps its last good text.
    pub broken: Vec<BrokenFile>,
}

/// A file of the workflows directory that has errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BrokenFile {
    /// Its name.
    pub file: String,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

/// An input a run can be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// `string`, `number`, `boolean` or `choice`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether a run must be given it.
    pub required: bool,
    /// What it is if nobody says.
    pub default: Option<Value>,
    /// What a `choice` may be.
    pub options: Vec<String>,
}

/// A step of a workflow, in outline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepOutline {
    /// Its id.
    pub id: String,
    /// What people read instead of the id.
    pub name: Option<String>,
    /// The ids of the steps that must end first.
    pub needs: Vec<String>,
}

/// What came of checking a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// Whether it could be run.
    pub valid: bool,
    /// Everything there is to say about it, in the file's order; at most 100.
    pub diagnostics: Vec<Diagnostic>,
    /// The workflow, if it is valid; it was not remembered.
    pub workflow: Option<Workflow>,
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but something in it is likely not meant.
    Warning,
}

/// One thing to say about a workflow file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Diagnostic {
    /// A stable word for the kind, such as `unknown_key`.
    pub code: String,
    /// Error or warning.
    pub severity: Severity,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte, from 1, in characters.
    pub column: usize,
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset after the last byte.
    pub end: usize,
    /// What is wrong.
    pub message: String,
    /// What would mend it.
    pub help: Option<String>,
}

impl Workflow {
    /// A workflow of the catalog. `updated_at` is known only to the store.
    pub fn new(known: &Known, updated_at: Option<Timestamp>) -> Self {
        Self {
            file: known.file.clone(),
            revision: Some(known.revision.to_string()),
            updated_at: updated_at.map(Timestamp::rfc3339),
            warnings: known.warnings.iter().map(Diagnostic::from).collect(),
            ..Self::of_text(&known.workflow, None)
        }
    }

    /// A workflow that was only parsed.
    pub fn of_text(workflow: &staunch_flow::Workflow, revision: Option<String>) -> Self {
        let id = |index: StepIndex| workflow.steps.get(index.0 as usize).map(|step| step.id.clone());
        Self {
            name: workflow.name.clone(),
            file: None,
            revision,
            description: workflow.description.clone(),
            updated_at: None,
            inputs: workflow.inputs.iter().map(Input::from).collect(),
            steps: workflow
                .steps
                .iter()
                .map(|step| StepOutline {
                    id: step.id.clone(),
                    name: step.name.clone(),
                    needs: step.needs.iter().filter_map(|need| id(need.step)).collect(),
                })
                .collect(),
            warnings: Vec::new(),
        }
    }
}

impl From<&staunch_flow::Input> for Input {
    fn from(input: &staunch_flow::Input) -> Self {
        let (kind, options) = match &input.kind {
            InputType::String => ("string", Vec::new()),
            InputType::Number => ("number", Vec::new()),
            InputType::Boolean => ("boolean", Vec::new()),
            InputType::Choice(options) => ("choice", options.clone()),
        };
        Self {
            name: input.name.clone(),
            kind: kind.to_owned(),
            description: input.description.clone(),
            required: input.required,
            default: input.default.clone(),
            options,
        }
    }
}

impl From<&staunch_flow::Diagnostic> for Diagnostic {
    fn from(diagnostic: &staunch_flow::Diagnostic) -> Self {
        Self {
            code: diagnostic.code.to_owned(),
            severity: match diagnostic.severity {
                staunch_flow::Severity::Error => Severity::Error,
                staunch_flow::Severity::Warning => Severity::Warning,
            },
            line: diagnostic.span.line,
            column: diagnostic.span.column,
            start: diagnostic.span.start,
            end: diagnostic.span.end,
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
        }
    }
}
