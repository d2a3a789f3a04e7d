//! Sweeps: something is made to fail, be cancelled or die at each point in turn, and everything must be as it was.
//!
//! The points are those of [`fault_point!`](crate::fault_point), which cost nothing unless the feature `faults` is on, and the
//! awaits of a future. The plan by which points fail is the process's, so a sweep wants a process to itself:
//! [`alone!`](crate::alone).

mod broken;
mod cancel;
mod crash;
mod cuts;
mod measured;
mod named;
mod sweep;

pub use broken::{Blame, Broken, Swept};
pub use cancel::{Cut, CutShort, all_cancellations, block_on};
pub use crash::{Crash, all_crashes, is_victim, victim};
pub use cuts::all_cuts;
pub use named::{Reach, named_crashes, named_faults};
pub use staunch_bounded::Fault;
pub use staunch_bounded::faults;
pub use sweep::{Manners, all_faults, all_faults_then};
