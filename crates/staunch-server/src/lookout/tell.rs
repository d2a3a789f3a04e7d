//! From what was seen to what is told.

use staunch_leak::watch::{Estimate, State, Unit, Verdict};

use super::{Lookout, Rare, Reading, Seen};
use crate::wire::{
    Allocated, CensusCost, CgroupMemory, Growth, GrowthRate, HeldStore, KeptOnDisk, KeptProfile, Memory,
    MemoryPressure, Rung, WatchedResource,
};

impl Lookout {
    /// All of it.
    pub(crate) fn tell(&self, reading: &Reading, seen: &Seen, bounds_bytes: u64) -> Memory {
        let resources: Vec<WatchedResource> =
            self.judged(seen).map(|(verdict, counts)| watched(verdict, counts)).collect();
        let (verdict, says) = overall(&resources);
        let Reading { process, stats, .. } = reading;
        Memory {
            uptime_seconds: reading.at.as_secs(),
            runs_ended: reading.runs_ended(),
            // Whoever asks has a connection.
            quiescent: reading.is_quiescent(1),
            verdict,
            says,
            judged_seconds_ago: seen.judged.map(|judged| reading.at.saturating_sub(judged).as_secs()),
            rung: Rung::from(reading.level),
            runs_shed: reading.runs_shed,
            limit_bytes: self.granted(),
            bounds_bytes,
            live_bytes: reading.live_bytes(),
            stores_bytes: reading.stores_bytes(),
            unattributed_bytes: reading.unattributed_bytes(),
            resident_bytes: process.map(|process| process.resident_bytes),
            virtual_bytes: process.map(|process| process.virtual_bytes),
            allocator: self.allocated(reading),
            stores: stores(reading),
            fds: process.map(|process| process.open_fds),
            fds_max: process.map(|process| process.max_fds),
            threads: process.map(|process| process.threads),
            tasks: reading.tasks.iter().map(|(kind, alive)| ((*kind).to_owned(), *alive)).collect(),
            children: process.and_then(|process| process.children),
            keepers: stats.keepers,
            steps_active: stats.steps_active,
            connections: reading.connections,
            streams: reading.streams,
            pressure: reading.pressure.map(|pressure| MemoryPressure {
                some_avg10: pressure.some.avg10,
                some_avg60: pressure.some.avg60,
                full_avg10: pressure.full.avg10,
                full_avg60: pressure.full.avg60,
            }),
            cgroup: self.cgroup(reading),
            kept: seen.rare.as_ref().map(|rare| kept(rare, reading)),
            resources,
            census: cost(seen),
            profiles: self.profiles(),
        }
    }

    fn allocated(&self, reading: &Reading) -> Allocated {
        let figures = reading.allocator;
        Allocated {
            name: self.allocator.name.to_owned(),
            active_bytes: figures.map(|figures| figures.active_bytes),
            resident_bytes: figures.map(|figures| figures.resident_bytes),
            retained_bytes: figures.map(|figures| figures.retained_bytes),
            metadata_bytes: figures.map(|figures| figures.metadata_bytes),
        }
    }

    fn cgroup(&self, reading: &Reading) -> Option<CgroupMemory> {
        let (group, before) = (reading.group?, self.group_before.named());
        let events = group.events.named();
        let since = events.iter().zip(before).map(|((event, count), (_, was))| (*event, count.saturating_sub(was)));
        let owned = |(event, count): (&str, u64)| (event.to_owned(), count);
        Some(CgroupMemory {
            current_bytes: group.current,
            max_bytes: group.max,
            high_bytes: group.high,
            events_since_start: since.map(owned).collect(),
            events: events.into_iter().map(owned).collect(),
        })
    }

    fn profiles(&self) -> Vec<KeptProfile> {
        let kept = self.kept().into_iter();
        kept.map(|kept| KeptProfile { reason: kept.reason().to_owned(), file: kept.file, bytes: kept.bytes }).collect()
    }
}

fn stores(reading: &Reading) -> Vec<HeldStore> {
    let store = |count: &staunch_bounded::Count| HeldStore {
        name: count.name.to_owned(),
        bytes: count.bytes,
        bytes_max: count.bytes_max,
        entries: count.entries.map(|(held, _)| held),
        entries_max: count.entries.map(|(_, most)| most),
        expired: count.expired,
        evicted: count.evicted,
        refused: count.refused,
    };
    reading.stores.iter().map(store).collect()
}

fn kept(rare: &Rare, reading: &Reading) -> KeptOnDisk {
    let usage = rare.usage.as_ref();
    KeptOnDisk {
        age_seconds: reading.at.saturating_sub(rare.at).as_secs(),
        temp_files: rare.temporary.files,
        temp_bytes: rare.temporary.bytes,
        temp_more: rare.temporary.more,
        rows: rare.rows(),
        database_bytes: usage.map(|usage| usage.database_bytes),
        wal_bytes: usage.map(|usage| usage.wal_bytes),
        log_bytes: usage.map(|usage| usage.log_bytes),
        free_bytes: rare.free_bytes,
    }
}

fn cost(seen: &Seen) -> CensusCost {
    let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let cost = seen.cost;
    CensusCost {
        taken: cost.taken,
        last_micros: micros(cost.last),
        mean_micros: micros(cost.total).checked_div(cost.taken).unwrap_or(0),
        judging_micros: micros(cost.judging),
        rings_bytes: cost.rings_bytes,
    }
}

fn watched(verdict: &Verdict, counts: bool) -> WatchedResource {
    let rate = |estimate: Estimate| GrowthRate { slope: estimate.slope, lower: estimate.lower, upper: estimate.upper };
    WatchedResource {
        name: verdict.name.to_owned(),
        unit: match verdict.unit {
            Unit::Bytes => "bytes",
            Unit::Pieces => "pieces",
        }
        .to_owned(),
        counts,
        state: growth(verdict.state),
        says: verdict.to_string(),
        value: verdict.value,
        per_run: verdict.per_run.map(rate),
        per_day: verdict.per_day.map(rate),
        window_seconds: verdict.window.as_secs(),
        quiescent: verdict.quiescent,
        until_limit_seconds: verdict.until_limit.map(|left| left.as_secs()),
    }
}

fn growth(state: State) -> Growth {
    match state {
        State::Insufficient => Growth::Insufficient,
        State::Stable => Growth::Stable,
        State::Filling => Growth::Filling,
        State::Growing => Growth::Growing,
        State::Leak => Growth::Leak,
    }
}

/// The worst of those that count, and in words which they are. What cannot be judged yet is never taken for well.
fn overall(resources: &[WatchedResource]) -> (Growth, String) {
    let counted = || resources.iter().filter(|resource| resource.counts);
    let named = |state: Growth| {
        let names: Vec<&str> =
            counted().filter(|resource| resource.state == state).map(|resource| resource.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    if let Some(names) = named(Growth::Leak) {
        return (Growth::Leak, format!("leak: {names}"));
    }
    if let Some(names) = named(Growth::Growing) {
        return (Growth::Growing, format!("growing: {names}"));
    }
    match (named(Growth::Insufficient), named(Growth::Filling)) {
        _ if counted().next().is_none() => (Growth::Insufficient, "insufficient: nothing was judged yet".to_owned()),
        (Some(names), _) => (Growth::Insufficient, format!("insufficient: too little was seen yet of {names}")),
        (None, Some(names)) => (Growth::Filling, format!("filling: {names}, below a bound")),
        (None, None) => (Growth::Stable, "stable: nothing grows".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(name: &str, counts: bool, state: Growth) -> WatchedResource {
        WatchedResource {
            name: name.to_owned(),
            unit: "pieces".to_owned(),
            counts,
            state,
            says: String::new(),
            value: 0,
            per_run: None,
            per_day: None,
            window_seconds: 0,
            quiescent: false,
            until_limit_seconds: None,
        }
    }

    #[test]
    fn a_rung_has_the_word_of_its_level_everywhere() {
        for level in staunch_engine::Level::ALL {
            let rung = Rung::from(level);
            assert_eq!((rung.word(), serde_json::to_value(rung).ok()), (level.word(), Some(level.word().into())));
        }
    }

    #[test]
    fn the_worst_that_counts_is_told_by_name() {
        let told = |all: &[(&str, bool, Growth)]| {
            let all: Vec<_> = all.iter().map(|(name, counts, state)| resource(name, *counts, *state)).collect();
            overall(&all).1
        };
        use Growth::{Filling, Growing, Insufficient, Leak, Stable};
        assert_eq!(told(&[]), "insufficient: nothing was judged yet");
        assert_eq!(told(&[("live", true, Stable), ("resident", false, Leak)]), "stable: nothing grows");
        assert_eq!(told(&[("live", true, Stable), ("rows", true, Filling)]), "filling: rows, below a bound");
        let young = [("live", true, Stable), ("rows", true, Insufficient), ("disk", true, Filling)];
        assert_eq!(told(&young), "insufficient: too little was seen yet of rows");
        assert_eq!(told(&[("live", true, Growing), ("rows", true, Insufficient)]), "growing: live");
        assert_eq!(told(&[("live", true, Growing), ("fds", true, Leak), ("tasks", true, Leak)]), "leak: fds, tasks");
    }
}
