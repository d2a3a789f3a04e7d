//! Containers that cannot outgrow their bounds, and the budgets that say what the bounds are.
//!
//! Nothing here reads a clock, spawns a task or allocates on behalf of somebody who has not paid: bytes that a client,
//! a file or a child process chose are held only under a [`Charge`] on a named [`Budget`]. A container has its bounds when
//! it is made and keeps them at each insertion; who sweeps it does so for freshness, never for memory. A [`Census`] knows
//! all that are alive.
#![forbid(unsafe_code)]

mod budget;
mod byte_ring;
mod census;
mod fault;
#[cfg(feature = "faults")]
pub mod faults;
mod ttl_map;

pub use budget::{Budget, Charge, OverBudget};
pub use byte_ring::ByteRing;
pub use census::{Census, Count, Counted, Gauge, Reason};
pub use fault::Fault;
pub use ttl_map::{Bounds, Full, Policy, Refused, TtlMap};
