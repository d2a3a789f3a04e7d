//! Tests of the crate from outside: whole files in, workflows and rendered diagnostics out.
#![expect(clippy::unwrap_used, reason = "tests")]

mod adversarial;
mod answer;
mod any_bytes;
mod golden;
mod growth;
mod happy;
mod mutate;

#[global_allocator]
static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
