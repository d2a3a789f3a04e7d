//! What a table says to one request.

use std::time::Duration;

/// Admitted or not.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Admitted and charged.
    Allow(Allowed),
    /// Not admitted. Nothing was charged or stored.
    Deny(Denied),
}

/// An admission.
#[derive(Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Nanoseconds of quota that are left.
    pub(crate) room: u64,
    pub(crate) interval: u64,
    pub(crate) receipt: Receipt,
}

/// A denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// After this time the same request is admitted, if no other of this key is before. For a key that the table did not
    /// know it is exact as long as its set discards no busy key meanwhile.
    pub retry: Duration,
    /// Whether the key has used nothing itself, and pays for its set being full of busy keys.
    pub degraded: bool,
}

/// What was charged, so that it can be given back: once, therefore it cannot be copied.
///
/// A receipt is not a right: what has drained since the charge is not given back, nor is anything after a
/// [reset](crate::Table::reset) or to a key that the table has let go of.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) set: usize,
    pub(crate) tag: u64,
    /// The charge, in nanoseconds.
    pub(crate) charge: u64,
    /// When it was charged.
    pub(crate) at: u64,
    /// Resets in the table until then.
    pub(crate) resets: u64,
}

/// A request costs more than a whole burst: no waiting helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request of cost {cost} never fits a burst of {burst}")]
pub struct NeverFits {
    /// What it costs.
    pub cost: u32,
    /// What the quota admits at once.
    pub burst: u32,
}

impl Allowed {
    /// Requests of cost 1 that would be admitted at once now.
    pub fn remaining(&self) -> u64 {
        self.room / self.interval
    }

    /// The time until one more is available.
    pub fn more_in(&self) -> Duration {
        Duration::from_nanos(self.interval - self.room % self.interval)
    }

    /// The receipt of the charge; of nothing if the cost was 0.
    pub fn receipt(self) -> Receipt {
        self.receipt
    }
}

impl Decision {
    /// Whether it is an admission.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}
