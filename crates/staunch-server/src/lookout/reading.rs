//! One census: what the process holds at a moment, as far as that costs microseconds.

use std::path::Path;
use std::time::Duration;

use staunch_bounded::Count;
use staunch_engine::{EngineStats, Kind, Level};
use staunch_leak::census::{GroupMemory, Pressure};

use super::Lookout;
use crate::allocator::AllocatorFigures;
use crate::app::App;
use crate::process::Process;

/// What the process holds at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// Since the lookout began.
    pub(crate) at: Duration,
    /// What the kernel says; `None` without `/proc`.
    pub(crate) process: Option<Process>,
    /// What the allocator says, if it can.
    pub(crate) allocator: Option<AllocatorFigures>,
    /// All bounded containers, the fixed tables of rate limits among them.
    pub(crate) stores: Vec<Count>,
    /// What the engine holds.
    pub(crate) stats: EngineStats,
    /// Tasks alive, by kind.
    pub(crate) tasks: Vec<(&'static str, u64)>,
    /// Open connections.
    pub(crate) connections: u64,
    /// Open event streams.
    pub(crate) streams: u64,
    /// How pressed for memory the process is taken to be.
    pub(crate) level: Level,
    /// Runs cancelled for that, since the start.
    pub(crate) runs_shed: u64,
    /// How long processes waited for memory: those of the cgroup, or all of the machine.
    pub(crate) pressure: Option<Pressure>,
    /// The cgroup's memory.
    pub(crate) group: Option<GroupMemory>,
}

impl Reading {
    /// Takes it. Nothing here waits: `/proc` and `/sys` are in memory.
    pub(super) fn take(lookout: &Lookout, app: &App) -> Self {
        let group = lookout.group.as_ref();
        let pressure = match group {
            Some(group) => group.pressure(),
            None => Pressure::read(Path::new("/proc/pressure/memory")),
        };
        Self {
            at: lookout.began.elapsed(),
            process: lookout.process(),
            allocator: (lookout.allocator.read)(),
            stores: app.census.counts(),
            stats: app.engine.stats(),
            tasks: app.engine.tasks().alive_by_kind().collect(),
            connections: app.tally.connections(),
            streams: app.streams_open() as u64,
            level: app.engine.pressure().level(),
            runs_shed: app.engine.pressure().shed_total(),
            pressure,
            group: group.and_then(|group| group.memory()),
        }
    }

    /// Live bytes that the allocator counts.
    pub(crate) fn live_bytes(&self) -> Option<u64> {
        self.allocator.map(|figures| figures.live_bytes)
    }

    /// Bytes that bounded containers answer for.
    pub(crate) fn stores_bytes(&self) -> u64 {
        self.stores.iter().map(|count| count.bytes).sum()
    }

    /// Live bytes that no container answers for. Some containers count a little more than they take, so 0 at least.
    pub(crate) fn unattributed_bytes(&self) -> Option<u64> {
        Some(self.live_bytes()?.saturating_sub(self.stores_bytes()))
    }

    /// Runs that ended since the start.
    pub(crate) fn runs_ended(&self) -> u64 {
        self.stats.runs_ended_total.values().sum()
    }

    /// Whether nothing is in work: no run in hand, no client but so many `asking`.
    pub(crate) fn is_quiescent(&self, asking: u64) -> bool {
        self.stats.plans == 0 && self.stats.steps_active == 0 && self.connections <= asking && self.streams == 0
    }

    /// Open descriptors, those of connections left out: the clients decide on them, and their number has a bound of its own.
    pub(super) fn fds_of_ours(&self) -> Option<u64> {
        Some(self.process?.open_fds.saturating_sub(self.connections))
    }

    /// Tasks, those of connections left out.
    pub(super) fn tasks_of_ours(&self) -> u64 {
        let ours = self.tasks.iter().filter(|(kind, _)| *kind != Kind::Connection.word());
        ours.map(|(_, alive)| alive).sum()
    }

    /// Children that are no keepers: processes that steps left behind, and those that ended and nobody waited for.
    pub(super) fn stray_children(&self) -> Option<u64> {
        Some(self.process?.children?.saturating_sub(self.stats.keepers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::AllocatorFigures;

    fn reading() -> Reading {
        let store =
            |name, bytes| Count { name, entries: None, bytes, bytes_max: 1_000, expired: 0, evicted: 0, refused: 0 };
        Reading {
            at: Duration::ZERO,
            process: Some(Process { open_fds: 40, children: Some(5), ..Process::default() }),
            allocator: Some(AllocatorFigures { live_bytes: 1_000, ..AllocatorFigures::default() }),
            stores: vec![store("plans", 100), store("rate_api", 200)],
            stats: EngineStats { keepers: 3, ..EngineStats::default() },
            tasks: vec![("dispatch", 1), ("connection", 7), ("census", 1)],
            connections: 7,
            streams: 0,
            level: Level::Calm,
            runs_shed: 0,
            pressure: None,
            group: None,
        }
    }

    #[test]
    fn what_has_an_owner_or_a_bound_of_its_own_is_left_out() {
        let reading = reading();
        assert_eq!((reading.fds_of_ours(), reading.tasks_of_ours(), reading.stray_children()), (Some(33), 2, Some(2)));
        assert_eq!((reading.stores_bytes(), reading.unattributed_bytes()), (300, Some(700)));
        // Containers may count a little more than there is.
        let over = Reading {
            allocator: Some(AllocatorFigures { live_bytes: 299, ..AllocatorFigures::default() }),
            ..reading.clone()
        };
        assert_eq!(over.unattributed_bytes(), Some(0));
        let mute = Reading { allocator: None, ..reading };
        assert_eq!((mute.live_bytes(), mute.unattributed_bytes()), (None, None));
    }

    #[test]
    fn whatever_is_in_work_is_no_quiet_moment() {
        let quiet = |change: fn(&mut Reading)| {
            let mut reading = Reading { connections: 0, ..reading() };
            change(&mut reading);
            reading.is_quiescent(0)
        };
        assert!(quiet(|_| ()));
        let busy: [fn(&mut Reading); 4] = [
            |reading| reading.connections = 1,
            |reading| reading.streams = 1,
            |reading| reading.stats.plans = 1,
            |reading| reading.stats.steps_active = 1,
        ];
        assert!(busy.into_iter().all(|change| !quiet(change)));
        // Whoever asks is not what is in work.
        assert!(Reading { connections: 1, ..reading() }.is_quiescent(1));
    }
}
