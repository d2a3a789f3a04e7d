//! Memory pressure: measured four times a second, turned into a level with hysteresis, and acted on before the kernel does.
//!
//! - *trim*, entered at .75 of the limit and left below .70: caches are dropped and not filled, unused memory goes back to the kernel.
//! - *slow*, .85 and .80: half as many steps at once; a connection ends with its answer.
//! - *refuse*, .92 and .87: what takes memory while its client waits is refused by 503 `memory_pressure`: logins, streams, reruns, checks
//!   of a text. Runs are accepted, on disk, and stay queued; what has begun goes on.
//! - *shed*, .97 and .92: new runs are refused too; the run that holds the most memory for its steps is cancelled, one every five
//!   seconds, as `run_memory_limit`.

mod alarm;
mod cgroup;
mod door;
mod gauge;
mod granted;
mod rejected;
mod sampler;

pub(crate) use door::pass;
pub use gauge::{Ceiling, Gauge};
pub use granted::Granted;
pub(crate) use rejected::Rejected;
pub(crate) use sampler::watch;
