//! A ruling: what all policies of a request say together.

use std::time::Duration;

use super::decision::{Decision, Denied};
use super::policy::POLICIES_MAX;

/// What all policies that apply to a request say together. Takes no memory but its own. It holds the receipts of what was
/// charged, so it cannot be copied.
#[derive(Debug, PartialEq, Eq)]
pub struct Ruling {
    standings: [Option<Standing>; POLICIES_MAX],
    length: usize,
}

/// What one policy says.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    /// The policy's place in its [`PolicySet`](crate::PolicySet).
    pub policy: usize,
    /// Its decision.
    pub decision: Decision,
    /// Whether it only reports.
    pub dry_run: bool,
}

impl Ruling {
    pub(crate) fn new() -> Self {
        Self { standings: [const { None }; POLICIES_MAX], length: 0 }
    }

    pub(crate) fn push(&mut self, standing: Standing) {
        if let Some(place) = self.standings.get_mut(self.length) {
            *place = Some(standing);
            self.length += 1;
        }
    }

    /// The policies that were asked, in order; a denial that is not a dry run is the last.
    pub fn standings(&self) -> impl Iterator<Item = &Standing> {
        self.standings.iter().take(self.length).flatten()
    }

    /// The denial and the place of its policy, unless the request is admitted.
    pub fn denied(&self) -> Option<(usize, Denied)> {
        self.standings().find_map(|standing| match &standing.decision {
            Decision::Deny(denied) if !standing.dry_run => Some((standing.policy, *denied)),
            _ => None,
        })
    }

    /// Whether the request is admitted.
    pub fn is_allowed(&self) -> bool {
        self.denied().is_none()
    }
}

impl Standing {
    /// Requests left, and the time until there are more.
    pub fn left(&self) -> (u64, Duration) {
        match &self.decision {
            Decision::Allow(allowed) => (allowed.remaining(), allowed.more_in()),
            Decision::Deny(denied) => (0, denied.retry),
        }
    }
}
