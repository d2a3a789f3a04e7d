//! The HTTP face of Staunch: the API under `/api/v1`, live events, health and metrics.
//!
//! [`bind`] serves an engine until the engine's tasks are told to stop. What a request may take (bytes, time, places) is bounded
//! before it is read; a handler parses, gives the engine one command, and renders the answer.

mod allocator;
mod api;
mod app;
mod ask;
mod auth;
mod body;
mod bounds;
mod config;
#[cfg(test)]
mod counting;
mod cursor;
mod debug;
mod etag;
mod form;
mod gate;
mod headers;
mod host;
mod lookout;
mod pages;
mod patience;
pub mod pprof;
mod pressure;
mod problem;
mod process;
mod rate;
mod reading;
mod router;
mod serve;
mod sse;
mod stall;
mod steps;
mod tally;
mod text;
pub mod wire;

pub use allocator::{Allocator, AllocatorFigures, Grown};
pub use auth::{PasswordError, SETUP_TTL, SetupError, SetupTicket, hash_password, open_setup};
pub use config::{BindError, ServerConfig};
pub use debug::{DebugListen, DebugListenError};
pub use lookout::WatchConfig;
pub use pressure::{Ceiling, Gauge, Granted};
pub use rate::Rates;
pub use router::{openapi, router};
pub use serve::{Server, bind, bind_with, is_loopback};
pub use staunch_guard::{Quota, QuotaError, QuotaTextError};
