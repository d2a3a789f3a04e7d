//! The resources under `/api/v1`, a file a resource, and what stands beside them.

#![expect(unused_qualifications, reason = "the macros that document routes spell out paths of types that are in scope")]

mod events;
mod health;
mod landing;
mod logs;
mod metrics;
mod openapi;
mod runs;
mod submit;
mod workflows;

pub(crate) use openapi::{document, routes};
