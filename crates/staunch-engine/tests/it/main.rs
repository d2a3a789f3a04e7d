//! What the engine's rooms do with real processes and real files.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bed;
mod cancellations;
mod crashes;
mod engine;
mod executor;
mod growth;
mod keep;
mod life;
mod room;
mod runner;
mod runner_crash;
mod runner_kit;
mod runner_nasty;
mod runner_refused;
mod sweeps;
mod told;

#[global_allocator]
static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
