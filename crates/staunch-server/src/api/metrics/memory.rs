//! The metrics of memory and of whatever else is watched, and the verdicts.

use std::fmt;

use staunch_leak::watch::{Estimate, State, Unit, Verdict};

use super::sheet::Sheet;
use crate::app::App;
use crate::lookout::{Reading, Seen};

/// What the lookout has seen, and the bounds it stands against.
#[derive(Debug)]
pub(super) struct Watched {
    seen: Seen,
    granted: Option<u64>,
    bounds: u64,
}

impl Watched {
    /// What it has seen last.
    pub(super) fn of(app: &App) -> Self {
        Self {
            seen: app.lookout.seen(),
            granted: app.lookout.granted(),
            bounds: app.engine.limits().memory_bytes_max(),
        }
    }

    /// Writes it.
    pub(super) fn tell(&self, reading: &Reading, to: &mut Sheet<'_>) -> fmt::Result {
        self.memory(reading, to)?;
        self.things(reading, to)?;
        cgroup(reading, to)?;
        self.verdicts(to)?;
        self.cost(to)
    }

    fn memory(&self, reading: &Reading, to: &mut Sheet<'_>) -> fmt::Result {
        if let Some(granted) = self.granted {
            to.gauge("staunch_memory_limit_bytes", "Memory that the process may use", granted)?;
        }
        to.gauge("staunch_memory_bounds_bytes", "Sum of all bounds on memory", self.bounds)?;
        let stores = reading.stores_bytes();
        to.gauge("staunch_memory_stores_bytes", "Live bytes that bounded stores answer for", stores)?;
        let (Some(figures), Some(rest)) = (reading.allocator, reading.unattributed_bytes()) else { return Ok(()) };
        to.gauge("staunch_memory_live_bytes", "Bytes asked for and not given back", figures.live_bytes)?;
        to.gauge("staunch_memory_unattributed_bytes", "Live bytes that no store answers for", rest)?;
        to.gauge("staunch_allocator_allocated_bytes", "Bytes allocated", figures.live_bytes)?;
        to.gauge("staunch_allocator_active_bytes", "Bytes of pages in use", figures.active_bytes)?;
        to.gauge("staunch_allocator_resident_bytes", "Bytes of pages with memory behind them", figures.resident_bytes)?;
        to.gauge("staunch_allocator_retained_bytes", "Address space without memory behind it", figures.retained_bytes)?;
        to.gauge("staunch_allocator_metadata_bytes", "Bytes of the allocator's own tables", figures.metadata_bytes)
    }

    fn things(&self, reading: &Reading, to: &mut Sheet<'_>) -> fmt::Result {
        if let Some(children) = reading.process.and_then(|process| process.children) {
            to.gauge("staunch_children", "Child processes, keepers included", children)?;
        }
        let Some(rare) = &self.seen.rare else { return Ok(()) };
        to.gauge("staunch_temp_files", "Files in the work directory", rare.temporary.files)?;
        to.gauge("staunch_temp_bytes", "Bytes of files in the work directory", rare.temporary.bytes)?;
        match rare.free_bytes {
            Some(free) => to.gauge("staunch_disk_free_bytes", "Bytes that the disk has left", free),
            None => Ok(()),
        }
    }

    fn verdicts(&self, to: &mut Sheet<'_>) -> fmt::Result {
        let states = self.seen.verdicts.iter().flat_map(|verdict| {
            let state = move |state: State| ([verdict.name, state.name()], u64::from(verdict.state == state));
            State::ALL.map(state)
        });
        let help = "What each resource does: 1 is the state it is in";
        to.gauges_by_two("staunch_leak_verdict", help, ["resource", "state"], states)?;
        let slopes = |unit: Unit| {
            let of_unit = self.seen.verdicts.iter().filter(move |verdict| verdict.unit == unit);
            of_unit.filter_map(|verdict| Some((verdict.name, verdict.per_run?))).flat_map(bounds)
        };
        let labels = ["resource", "bound"];
        let help = "Growth a run that ended: it is between these at 99 %";
        to.gauges_by_two("staunch_leak_slope_bytes_per_run", help, labels, slopes(Unit::Bytes))?;
        to.gauges_by_two("staunch_leak_slope_pieces_per_run", help, labels, slopes(Unit::Pieces))?;
        let left = self
            .seen
            .verdicts
            .iter()
            .filter_map(|verdict: &Verdict| Some((verdict.name, verdict.until_limit?.as_secs())));
        to.gauges("staunch_leak_limit_seconds", "Until the limit, if it goes on like this", "resource", left)
    }

    fn cost(&self, to: &mut Sheet<'_>) -> fmt::Result {
        let cost = self.seen.cost;
        to.total("staunch_census", "Censuses taken", cost.taken)?;
        to.seconds_total("staunch_census_seconds", "Time that censuses took", cost.total.as_secs_f64())?;
        to.seconds_total("staunch_verdict_seconds", "Time that verdicts took", cost.judging.as_secs_f64())?;
        to.gauge("staunch_watch_bytes", "Bytes of what is remembered of the past", cost.rings_bytes)
    }
}

fn bounds((name, rate): (&'static str, Estimate)) -> [([&'static str; 2], f64); 2] {
    [([name, "lower"], rate.lower), ([name, "upper"], rate.upper)]
}

fn cgroup(reading: &Reading, to: &mut Sheet<'_>) -> fmt::Result {
    if let Some(pressure) = reading.pressure {
        let seconds = |micros: u64| micros as f64 / 1e6;
        let (some, full) = (seconds(pressure.some.total_micros), seconds(pressure.full.total_micros));
        let help = "Time in which processes waited for memory: of the cgroup, or of the machine";
        to.seconds_totals("staunch_memory_stalled_seconds", help, "kind", [("some", some), ("full", full)])?;
    }
    let Some(group) = reading.group else { return Ok(()) };
    to.gauge("staunch_cgroup_memory_current_bytes", "Memory that the cgroup uses", group.current)?;
    if let Some(max) = group.max {
        to.gauge("staunch_cgroup_memory_max_bytes", "Memory at which the kernel kills", max)?;
    }
    if let Some(high) = group.high {
        to.gauge("staunch_cgroup_memory_high_bytes", "Memory at which the kernel slows down", high)?;
    }
    to.totals("staunch_cgroup_memory_events", "What happened at these bounds", "event", group.events.named())
}
