//! What goes over the wire: every JSON type of the API, for the server and for its clients.
//!
//! Fields are added, never renamed or removed. A client ignores fields it does not know; the server refuses fields it does
//! not know, because a misspelt one would silently do nothing.

mod account;
mod audit;
mod event;
mod health;
mod log;
mod memory;
mod problem;
mod request;
mod run;
mod secret;
mod session;
mod token;
mod words;
mod workflow;

pub use account::{NewUser, Role, User, UserPage, UserPatch};
pub use audit::{AuditLine, AuditPage};
pub use event::{EndEvent, Event, EventPage, GapEvent, LogEvent, RunEvent};
pub use health::{Check, Health};
pub use log::{LogPage, LogRecord, LogStream};
pub use memory::{
    Allocated, CensusCost, CgroupMemory, Growth, GrowthRate, HeldStore, KeptOnDisk, KeptProfile, Memory,
    MemoryPressure, Rung, WatchedResource,
};
pub use problem::{Problem, ProblemDetail};
pub use request::{Accepted, CancelRequest, RerunRequest, SubmitRequest, Which};
pub use run::{Attempt, Run, RunDetail, RunPage, Step, in_words};
pub use secret::Secret;
pub use session::{
    CsrfToken, KnownBy, LoggedIn, LoginRequest, Me, PasswordChange, Session, SessionList, SessionsEnded, SetupRequest,
};
pub use token::{NewToken, Scope, Token, TokenCreated, TokenList};
pub use words::{RunState, StepPhase};
pub use workflow::{
    BrokenFile, Diagnostic, Input, Severity, StepOutline, Validation, Workflow, WorkflowDetail, WorkflowList,
};

#[cfg(test)]
mod tests;
