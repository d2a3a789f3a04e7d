//! The resources under `/api/v1`, a file a resource, and what stands beside them.

#![expect(unused_qualifications, reason = "the macros that document routes spell out paths of types that are in scope")]

mod audit;
mod events;
mod explain;
mod health;
mod login;
mod logs;
mod me;
mod memory;
mod metrics;
mod openapi;
mod runs;
mod submit;
mod tokens;
mod users;
mod workflows;

pub(crate) use openapi::{document, routes};
