//! Tests of the crate from outside: times and keys in, decisions and answers out.
#![expect(clippy::unwrap_used, reason = "tests")]

mod clock;
mod floods;
mod layer;
mod numbers;
mod oracle;
mod vectors;
