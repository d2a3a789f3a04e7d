//! Runs workflows: the handle, the one loop, the runner, the feed, the limits.
//!
//! [`Engine`] is what a server or a command line holds. Behind it one task, `dispatch`, owns all that changes; steps run
//! under the [`runner`]; every other task belongs to [`Tasks`].

mod active;
mod attempt;
mod catalog;
mod deadlines;
mod dispatch;
mod engine;
mod event;
mod fault;
mod feed;
mod inner;
mod limits;
mod load;
mod open;
mod pressure;
pub mod runner;
mod submit;
mod tasks;
mod upkeep;
mod view;
mod watch;
mod workspace;

pub use catalog::{Catalog, Known};
pub use engine::{
    CancelError, CloseCount, Engine, EngineConfig, EngineError, EngineStats, Rerun, RunView, StepView, Submission,
    SubmitError, Target, Unready,
};
pub use feed::{Feed, Watch};
pub use limits::{LimitDoc, Limits, PASSWORD_BYTES, RATE_BYTES_MAX, TOKENS_KNOWN_MAX};
pub use pressure::{Level, Pressure};
pub use tasks::{Kind, Tasks};
