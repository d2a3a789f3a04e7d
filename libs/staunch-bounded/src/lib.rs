//! Containers that cannot outgrow their bounds, and the budgets that say what the bounds are.
//!
//! Nothing here reads a clock, spawns a task or allocates on behalf of somebody who has not paid: bytes that a client,
//! a file or a child process chose are held only under a [`Charge`] on a named [`Budget`].

mod budget;
mod byte_ring;

pub use budget::{Budget, Charge, OverBudget};
pub use byte_ring::ByteRing;
