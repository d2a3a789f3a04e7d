//! What a workflow file says, checked: every name resolved, every default filled in.

use std::time::Duration;

use crate::expr::Template;
use crate::retry::Retry;

pub use crate::input::{Input, InputError, InputType, Inputs};

/// The place of a step in [`Workflow::steps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct StepIndex(pub u32);

/// A checked workflow: the graph has no cycle, ids are unique, expressions parse.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    /// Its name: letters, digits, `-`, `_`, `.`; at most 100 bytes. Defaults to the file's stem.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What a run can be given, in the file's order.
    pub inputs: Vec<Input>,
    /// Environment of every step, in the file's order.
    pub env: Vec<(String, Template)>,
    /// The steps in the file's order, `parallel:` groups flattened.
    pub steps: Vec<Step>,
    /// The longest a run may take from its first step's start.
    pub timeout: Option<Duration>,
    /// How many steps of one run may be in flight at once.
    pub max_parallel: Option<u32>,
    /// What happens to a step whose worker is lost.
    pub on_lost: OnLost,
    /// What happens if a step leaves processes behind.
    pub left_behind: LeftBehind,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its id, unique in the workflow; letters, digits, `-`, `_`; given, or `step-N` (N from 1, its place in the file).
    pub id: String,
    /// What people read instead of the id.
    pub name: Option<String>,
    /// The script, as written: `${{ }}` is refused here.
    pub run: String,
    /// What runs it.
    pub shell: Shell,
    /// Where it runs, relative to the workspace.
    pub working_directory: Option<Template>,
    /// Its own environment, in the file's order, over the workflow's.
    pub env: Vec<(String, Template)>,
    /// The steps that must end first.
    pub needs: Vec<Need>,
    /// Its `if`, if it has one.
    pub condition: Option<Template>,
    /// Whether the condition mentions `always()`, `failure()` or `cancelled()`: without it the condition is
    /// `success() && (condition)`.
    pub condition_names_status: bool,
    /// The longest one attempt may take.
    pub timeout: Option<Duration>,
    /// When to try again.
    pub retry: Retry,
    /// Whether its failure counts.
    pub continue_on_error: ContinueOnError,
}

/// A step that must end before another starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which.
    pub step: StepIndex,
    /// Whether `needs:` names it. List order asks only that nothing failed; `needs:` asks that it ran and succeeded.
    pub explicit: bool,
}

/// What runs a step's script: `[command, args...]`, the script follows as the last argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shell {
    /// `["sh", "-e", "-c"]` by default; `bash`, `python3` and any `[cmd, args...]` as DESIGN §4 says.
    pub argv: Vec<String>,
}

/// `continue-on-error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContinueOnError {
    /// A failure counts.
    No,
    /// No failure counts.
    Yes,
    /// Failures with these exit codes do not count.
    ExitCodes(Vec<i32>),
}

/// `on-lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLost {
    /// Run it again, up to the limit on losses.
    Retry,
    /// It ends as interrupted.
    Fail,
}

/// `left-behind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftBehind {
    /// Kill what was left, name it in the result, go on.
    Warn,
    /// Kill what was left, name it, and the outcome is `leaked`.
    Fail,
}

impl Workflow {
    /// The step with this id.
    pub fn step(&self, id: &str) -> Option<StepIndex> {
        self.steps.iter().position(|s| s.id == id).map(|i| StepIndex(i as u32))
    }
}
