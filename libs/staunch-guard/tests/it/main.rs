//! Tests of the crate from outside: times and keys in, decisions and answers out.
#![expect(clippy::unwrap_used, reason = "tests")]

mod clock;
mod floods;
mod growth;
mod layer;
mod layers;
mod numbers;
mod oracle;
mod vectors;

/// For the gates of growth; the others do not mind.
#[global_allocator]
static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
