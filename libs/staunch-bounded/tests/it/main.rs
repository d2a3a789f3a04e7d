//! Bounded containers under the gates of `staunch-leak`.
#![expect(clippy::unwrap_used, reason = "tests")]

mod growth;
mod sweeps;

#[global_allocator]
static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
