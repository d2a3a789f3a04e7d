//! What is compared: the resources of a server, as its census tells them.

use std::collections::BTreeMap;

use staunch_server::wire::Memory;

/// How a resource is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Its count is the same after every cycle.
    Exactly,
    /// Its growth a run has a bound.
    ByTrend,
    /// It is told and not judged: what is resident is up to the allocator and the kernel too.
    Told,
}

/// A resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) name: &'static str,
    pub(super) how: How,
}

/// What can be compared, in the order in which it is told.
pub(super) const ALL: [Resource; 8] = [
    Resource { name: "live", how: How::ByTrend },
    Resource { name: "fds", how: How::Exactly },
    Resource { name: "threads", how: How::Exactly },
    Resource { name: "tasks", how: How::Exactly },
    Resource { name: "children", how: How::Exactly },
    Resource { name: "temp_files", how: How::Exactly },
    Resource { name: "rows", how: How::Exactly },
    Resource { name: "resident", how: How::Told },
];

/// The task of a connection: clients decide on these.
const CONNECTION: &str = "connection";
/// Histories of a foreign server fill until its retention removes as much as comes, and so does its audit log.
const HISTORIES: [&str; 4] = ["runs_queued", "runs_running", "runs_ended", "audit"];

/// What was held after a cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// A value a resource, in the order of [`ALL`]; `None` if the server cannot tell.
    pub(super) values: [Option<u64>; ALL.len()],
    /// Tasks and rows by kind, to say which grew.
    pub(super) kinds: BTreeMap<String, u64>,
    /// Runs that ended in this life of the server.
    pub(super) runs: u64,
    /// Whether nothing was in work.
    pub(super) quiet: bool,
    /// Which allocator it is that counts, or does not.
    pub(super) allocator: String,
}

impl Reading {
    /// What a census tells; `own`: all rows are soak's.
    pub(super) fn of(memory: &Memory, own: bool) -> Self {
        let tasks = memory.tasks.iter().filter(|(kind, _)| *kind != CONNECTION);
        let kept = memory.kept.as_ref();
        let counted = |kind: &String| own || !HISTORIES.contains(&kind.as_str());
        // No rows at all: they could not be counted.
        let rows = kept.map(|kept| &kept.rows).filter(|rows| !rows.is_empty());
        let rows = rows.map(|rows| rows.iter().filter(|(kind, _)| counted(kind)));
        let files = kept.filter(|kept| !kept.temp_more).map(|kept| kept.temp_files);
        // Keepers come and go with the load, each with a socket; connections with their clients.
        let fds = memory.fds.map(|fds| fds.saturating_sub(memory.connections + memory.keepers));
        let children = memory.children.map(|children| children.saturating_sub(memory.keepers));
        let named = |room: &'static str| move |(kind, count): (&String, &u64)| (format!("{room} {kind}"), *count);
        let kinds = tasks.clone().map(named("tasks")).chain(rows.clone().into_iter().flatten().map(named("rows")));
        Self {
            values: [
                memory.live_bytes,
                fds,
                memory.threads,
                Some(tasks.clone().map(|(_, count)| count).sum()),
                children,
                files,
                rows.clone().map(|rows| rows.map(|(_, count)| count).sum()),
                memory.resident_bytes,
            ],
            kinds: kinds.collect(),
            runs: memory.runs_ended,
            quiet: memory.quiescent,
            allocator: memory.allocator.name.clone(),
        }
    }

    /// Whether all that is compared exactly is the same.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let exact = |reading: &Self| {
            let pairs = ALL.iter().zip(reading.values);
            pairs.filter(|(resource, _)| resource.how == How::Exactly).map(|(_, value)| value).collect::<Vec<_>>()
        };
        exact(self) == exact(other)
    }

    /// The kinds of a resource that have more than they had, as `users, audit`.
    pub(super) fn more_of(&self, resource: &str, before: &Self) -> String {
        let kinds = self.kinds.iter().filter_map(|(kind, count)| {
            let bare = kind.strip_prefix(resource)?.strip_prefix(' ')?;
            (*count > before.kinds.get(kind).copied().unwrap_or(0)).then_some(bare)
        });
        kinds.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What a server tells, with some of it changed.
    pub(crate) fn told(changes: &Value) -> Memory {
        let mut whole = json!({
            "uptime_seconds": 1, "runs_ended": 7, "quiescent": true, "verdict": "stable", "says": "", "judged_seconds_ago": null,
            "rung": "calm", "runs_shed": 0, "limit_bytes": null,
            "bounds_bytes": 0, "live_bytes": 1000, "stores_bytes": 0, "unattributed_bytes": 1000, "resident_bytes": 5000,
            "virtual_bytes": null,
            "allocator": { "name": "a", "active_bytes": null, "resident_bytes": null, "retained_bytes": null, "metadata_bytes": null },
            "stores": [], "fds": 20, "fds_max": 99, "threads": 9, "tasks": { "dispatch": 1, "connection": 3, "upkeep": 2 },
            "children": 5, "keepers": 4, "steps_active": 0, "connections": 3, "streams": 0, "pressure": null, "cgroup": null,
            "kept": {
                "age_seconds": 0, "temp_files": 0, "temp_bytes": 0, "temp_more": false,
                "rows": { "runs_ended": 30, "audit": 20, "users": 1 },
                "database_bytes": null, "wal_bytes": null, "log_bytes": null, "free_bytes": null,
            },
            "resources": [],
            "census": { "taken": 0, "last_micros": 0, "mean_micros": 0, "judging_micros": 0, "rings_bytes": 0 },
            "profiles": [],
        });
        for (key, value) in changes.as_object().into_iter().flatten() {
            whole[key] = value.clone();
        }
        serde_json::from_value(whole).expect("the wire's own shape")
    }

    fn value(name: &str, own: bool, changes: &Value) -> Option<u64> {
        let place = ALL.iter().position(|resource| resource.name == name).expect("a resource");
        Reading::of(&told(changes), own).values[place]
    }

    #[test]
    fn connections_and_keepers_are_not_counted() {
        let nothing = json!({});
        assert_eq!(value("fds", true, &nothing), Some(20 - 3 - 4));
        assert_eq!(value("tasks", true, &nothing), Some(3));
        assert_eq!(value("children", true, &nothing), Some(1));
    }

    #[test]
    fn histories_count_on_a_server_of_soaks_own_only() {
        assert_eq!(value("rows", true, &json!({})), Some(51));
        assert_eq!(value("rows", false, &json!({})), Some(1));
    }

    #[test]
    fn what_cannot_be_told_is_nothing_and_never_nought() {
        for (name, changes) in [
            ("live", json!({ "live_bytes": null })),
            ("fds", json!({ "fds": null })),
            ("children", json!({ "children": null })),
            ("rows", json!({ "kept": null })),
            ("temp_files", json!({ "kept": null })),
        ] {
            assert_eq!(value(name, true, &changes), None, "{name}");
        }
        let mut kept = serde_json::to_value(told(&json!({})).kept).expect("plain");
        kept["temp_more"] = true.into();
        kept["rows"] = json!({});
        let changes = json!({ "kept": kept });
        assert_eq!((value("temp_files", true, &changes), value("rows", true, &changes)), (None, None));
    }

    #[test]
    fn readings_agree_by_their_counts_alone() {
        let base = Reading::of(&told(&json!({})), true);
        let of = |changes: Value| Reading::of(&told(&changes), true);
        assert!(base.agrees(&of(json!({ "live_bytes": 1, "resident_bytes": 2, "runs_ended": 8 }))));
        for changes in [json!({ "fds": 21 }), json!({ "threads": 8 }), json!({ "children": 6 })] {
            assert!(!base.agrees(&of(changes)));
        }
    }

    #[test]
    fn the_kind_that_grew_is_named() {
        let base = Reading::of(&told(&json!({})), true);
        let grown = Reading::of(&told(&json!({ "tasks": { "dispatch": 1, "upkeep": 5 } })), true);
        assert_eq!((grown.more_of("tasks", &base).as_str(), grown.more_of("rows", &base).as_str()), ("upkeep", ""));
    }
}
