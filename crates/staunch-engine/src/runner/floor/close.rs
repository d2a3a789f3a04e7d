//! The end of a runner.

use std::time::{Duration, Instant};

use staunch_flow::Outcome;

use super::{Floor, LEAVE_MAX};
use crate::runner::inbox::Kill;
use crate::runner::orphans::Sweep;
use crate::runner::staff::{Keeper, State};

/// When a close loses its patience.
#[derive(Clone, Copy)]
pub(super) struct Closing {
    pub(super) force: Option<Instant>,
    pub(super) end: Instant,
}

impl Floor {
    pub(super) fn begin_close(&mut self, bound: Duration) {
        if self.closing.is_some() {
            return;
        }
        let now = Instant::now();
        self.closing = Some(Closing { force: Some(now + bound / 2), end: now + bound });
        self.kill_live(false);
    }

    pub(super) fn kill_live(&mut self, force: bool) {
        let busy = |keeper: &Keeper| match &keeper.state {
            State::Busy(live) => Some(live.id),
            State::Idle(_) | State::Ordered | State::Leaving(_) => None,
        };
        let ids: Vec<u64> = self.keepers.iter().flatten().filter_map(busy).collect();
        for id in ids {
            self.kill(&Kill { id, because: Outcome::Interrupted, force });
        }
    }

    pub(super) fn is_done(&self) -> bool {
        let Some(closing) = self.closing else { return false };
        let over = self.active == 0 && self.keepers.iter().all(Option::is_none) && self.sweep.is_none();
        over || Instant::now() >= closing.end + LEAVE_MAX
    }

    /// The end, in order or by force.
    pub(super) fn end(&mut self) -> usize {
        // Starts that came in between are answered by their dropped senders.
        drop(self.inbox.end());
        for place in 0..self.keepers.len() {
            self.dismiss(place);
        }
        let left = match &mut self.sweep {
            Some(sweep) => sweep.last(),
            None => 0,
        };
        for live in std::mem::take(&mut self.lost) {
            let report = live.lost();
            self.settle(live, report);
        }
        self.note();
        if let Some(sealer) = self.sealer.take() {
            sealer.close();
        }
        left
    }

    /// After a panic: keepers and their steps are killed; then whoever waits is answered, by the dropped senders. Returns how many
    /// children are left.
    pub(super) fn abandon(&mut self) -> usize {
        let posted = self.inbox.end();
        let mut lives = std::mem::take(&mut self.lost);
        lives.extend(self.keepers.drain(..).flatten().filter_map(Keeper::dismiss));
        let left = Sweep::new(Instant::now()).last();
        if let Some(sealer) = self.sealer.take() {
            sealer.close();
        }
        self.active = 0;
        drop((posted, lives, std::mem::take(&mut self.waiting)));
        self.note();
        left
    }
}
