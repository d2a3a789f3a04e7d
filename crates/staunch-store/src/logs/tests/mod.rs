//! Tests of the logs.

#![expect(clippy::unwrap_used, reason = "tests")]

mod cap;
mod crash;
mod disk;
mod ground;
mod lines;
mod live;
mod model;
mod round_trip;
