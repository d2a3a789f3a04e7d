//! Workflow files and the pure plan of a run.
//!
//! Text goes in at [`parse`] and comes out as a [`Workflow`] or as every [`Diagnostic`] there is to say about it.
//! A [`Plan`] is one run of a workflow: events go in, effects come out, and nothing else happens. This crate
//! does no IO, reads no clock, draws no random number and awaits nothing.

mod check;
mod diagnostic;
mod expr;
mod findings;
mod graph;
mod input;
mod keys;
mod limits;
mod outcome;
mod parse;
mod plan;
mod retry;
mod workflow;

pub use diagnostic::{CODES, Diagnostic, Severity, Span};
pub use expr::{ExprError, Name, Scope, Status, Template};
pub use keys::{KEYS, Key, Place, Support, manual};
pub use outcome::{Outcome, RunOutcome};
pub use parse::{Budgets, Parsed, parse};
pub use plan::{Effect, Ended, Event, Launch, Plan, Refused, Rerun, StepState, Why};
pub use retry::{Backoff, Retry};
pub use workflow::{
    ContinueOnError, Input, InputError, InputType, Inputs, LeftBehind, Need, OnLost, Shell, Step, StepIndex, Workflow,
};
