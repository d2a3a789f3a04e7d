//! What the engine's rooms do with real processes and real files.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bed;
mod engine;
mod runner;
mod runner_crash;
mod runner_kit;
mod runner_nasty;
mod runner_refused;
