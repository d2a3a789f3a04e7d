//! Tests of the crate from outside: whole files in, workflows and rendered diagnostics out.
#![expect(clippy::unwrap_used, reason = "tests")]

mod adversarial;
mod answer;
mod any_bytes;
mod golden;
mod happy;
mod mutate;
