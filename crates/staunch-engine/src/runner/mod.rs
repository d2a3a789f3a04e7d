//! Runs the process of an attempt, and sees to it that nothing of it outlives the attempt.
//!
//! A *keeper* is a small process (this same binary, started as `staunch __keep`) that runs one step at a time: it is the
//! step's parent and its subreaper, so whatever the step leaves behind becomes the keeper's child and belongs to that
//! step beyond doubt. Keepers are reused, so a step costs one process and not two. A keeper whose server is gone kills
//! its step at once. One thread of the server, the runner's, talks to all keepers and drains all pipes into the logs.
//!
//! | who dies | who cleans up |
//! |---|---|
//! | the step's first process | its keeper: settle, then kill what is left |
//! | the server | each keeper, at the end of its socket: kills its step, exits |
//! | a keeper | the server: it is a subreaper too, so the step's processes become its own children (`orphans.rs`) |
//! | both at once | the next server: [`sweep_strays`] finds them by the environment they inherited |

mod capture;
mod config;
mod exit;
mod floor;
mod handle;
mod inbox;
mod keeper;
mod live;
mod memory;
mod orphans;
mod output_file;
mod processes;
mod result;
mod running;
mod sealer;
mod staff;
mod start;
mod strays;
mod wire;

pub use config::RunnerConfig;
pub use exit::{Captured, Exit, How};
pub use handle::Runner;
pub use inbox::RunnerStats;
pub use keeper::keep;
pub use memory::memory_by_run;
pub use output_file::{OutputFileError, parse_outputs, read_outputs};
pub use result::result_json;
pub use running::{KillHandle, Running};
pub use start::Start;
pub use strays::sweep_strays;
