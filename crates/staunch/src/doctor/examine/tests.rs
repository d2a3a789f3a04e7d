use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// A server that is well.
fn well() -> Memory {
    let cgroup = json!({
        "current_bytes": 1, "max_bytes": 2, "high_bytes": null, "events": { "oom_kill": 3, "oom": 2, "max": 9, "high": 7 },
        "events_since_start": { "oom_kill": 0, "oom": 0, "max": 9, "high": 7 }
    });
    let kept = json!({
        "age_seconds": 0, "temp_files": 0, "temp_bytes": 0, "temp_more": false, "rows": { "runs_ended": 5_000, "runs_queued": 0 },
        "database_bytes": 1, "wal_bytes": 1, "log_bytes": 1, "free_bytes": 9_000_000_000u64
    });
    let mut memory = json!({
        "uptime_seconds": 9_000, "runs_ended": 5_000, "quiescent": true, "verdict": "stable", "says": "stable: nothing grows",
        "limit_bytes": 1_000_000_000, "bounds_bytes": 150_000_000, "live_bytes": 100_000_000, "stores_bytes": 4_000_000,
        "unattributed_bytes": 96_000_000, "resident_bytes": 120_000_000, "virtual_bytes": 900_000_000,
        "allocator": { "name": "jemalloc", "active_bytes": 1, "resident_bytes": 1, "retained_bytes": 1, "metadata_bytes": 1 },
        "stores": [
            { "name": "plans", "bytes": 10, "bytes_max": 100, "entries": null, "entries_max": null, "expired": 0, "evicted": 0, "refused": 0 },
            { "name": "rate_api", "bytes": 100, "bytes_max": 100, "entries": 5, "entries_max": 100, "expired": 0, "evicted": 0, "refused": 0 }
        ],
        "fds": 30, "fds_max": 1_024, "threads": 9, "tasks": { "census": 1 }, "children": 2, "keepers": 2, "steps_active": 0,
        "connections": 1, "streams": 0,
        "pressure": { "some_avg10": 0.0, "some_avg60": 0.0, "full_avg10": 0.0, "full_avg60": 0.0 },
        "cgroup": cgroup,
        "kept": kept,
        "resources": [{
            "name": "fds", "unit": "pieces", "counts": true, "state": "stable", "says": "fds: stable", "value": 30, "per_run": null,
            "per_day": null, "window_seconds": 3_600, "quiescent": true, "until_limit_seconds": null
        }],
        "census": { "taken": 9_000, "last_micros": 200, "mean_micros": 200, "judging_micros": 5_000, "rings_bytes": 700_000 },
        "profiles": []
    });
    for (name, value) in [("judged_seconds_ago", json!(60)), ("rung", json!("slow")), ("runs_shed", json!(0))] {
        memory[name] = value;
    }
    serde_json::from_value(memory).expect("the wire's own shape")
}

/// What is found after a change.
fn found(change: impl FnOnce(&mut Memory)) -> Vec<String> {
    let mut memory = well();
    change(&mut memory);
    examine(&memory).into_iter().map(|finding| finding.about).collect()
}

#[test]
fn nothing_is_found_in_a_server_that_is_well() {
    assert_eq!(examine(&well()), []);
}

#[test]
fn each_threshold_holds_at_it_and_over_it() {
    type Change = fn(&mut Memory, u64);
    let cases: [(&str, u64, Change); 10] = [
        ("watch", JUDGED_SECONDS_MAX, |memory, n| memory.judged_seconds_ago = Some(n)),
        ("memory", 800_000_000, |memory, n| {
            memory.live_bytes = Some(n);
            memory.resident_bytes = Some(n);
        }),
        ("file descriptors", 819, |memory, n| memory.fds = Some(n)),
        ("store plans", 90, |memory, n| memory.stores[0].bytes = n),
        ("store rate_api", 90, |memory, n| memory.stores[1].entries = Some(n)),
        ("fragmentation", 150_000_000, |memory, n| memory.resident_bytes = Some(n)),
        ("child processes", 2, |memory, n| memory.children = Some(n)),
        ("temporary files", 0, |memory, n| memory.kept.as_mut().expect("there").temp_files = n),
        ("write-ahead log", WAL_BYTES_MAX, |memory, n| memory.kept.as_mut().expect("there").wal_bytes = Some(n)),
        ("census", CENSUS_MICROS_MAX, |memory, n| memory.census.mean_micros = n),
    ];
    for (about, at, change) in cases {
        assert_eq!(found(|memory| change(memory, at)), [""; 0], "{about} at its threshold");
        assert_eq!(found(|memory| change(memory, at + 1)), [about], "over it");
    }
    let slow = |taken| {
        found(|memory| {
            memory.census.mean_micros = CENSUS_MICROS_MAX + 1;
            memory.census.taken = taken;
        })
    };
    assert_eq!([slow(CENSUSES_MIN - 1), slow(CENSUSES_MIN)].map(|found| found.len()), [0, 1]);
    let cache = |name: &str| {
        found(|memory| {
            memory.stores[0].bytes = 100;
            memory.stores[0].name = name.to_owned();
        })
    };
    assert_eq!([cache("sqlite"), cache("workflows"), cache("plans")].map(|found| found.len()), [0, 0, 1]);
    let free = |bytes| found(|memory| memory.kept.as_mut().expect("there").free_bytes = Some(bytes));
    assert_eq!(free(FREE_BYTES_MIN), [""; 0]);
    assert_eq!(free(FREE_BYTES_MIN - 1), ["disk"]);
}

#[test]
fn a_server_that_refuses_for_want_of_memory_is_not_well() {
    let rungs = [Rung::Calm, Rung::Trim, Rung::Slow, Rung::Refuse, Rung::Shed];
    let counts = rungs.map(|rung| found(|memory| memory.rung = rung).len());
    assert_eq!(counts, [0, 0, 0, 1, 1]);
    let mut memory = well();
    (memory.rung, memory.runs_shed) = (Rung::Shed, 7);
    let findings = examine(&memory);
    let text = findings[0].to_string();
    assert!(text.contains("new runs are refused") && text.contains("7 runs were cancelled for it"), "{text}");
}

#[test]
fn what_the_kernel_did_is_found() {
    let event = |name: &str| {
        found(|memory| {
            let events = BTreeMap::from([(name.to_owned(), 1)]);
            memory.cgroup.as_mut().expect("there").events_since_start = events;
        })
    };
    assert_eq!(
        [event("oom_kill"), event("oom"), event("max"), event("low")],
        [vec!["cgroup oom_kill".to_owned()], vec!["cgroup oom".to_owned()], vec![], vec![]]
    );
    let pressed = |some, full| {
        found(|memory| {
            let pressure = memory.pressure.as_mut().expect("there");
            (pressure.some_avg60, pressure.full_avg60) = (some, full);
        })
    };
    assert_eq!([pressed(10.0, 1.0).len(), pressed(10.1, 0.0).len(), pressed(0.0, 1.1).len()], [0, 1, 1]);
}

#[test]
fn what_grows_is_told_with_its_rate_the_gravest_first() {
    let findings = {
        let mut memory = well();
        let fds = memory.resources[0].clone();
        let resource = |name: &str, state, counts| WatchedResource {
            name: name.to_owned(),
            state,
            counts,
            says: format!("{name}: 16.0 B/run"),
            ..fds.clone()
        };
        memory.resources = vec![
            resource("tasks", Growth::Growing, true),
            resource("live", Growth::Leak, true),
            resource("resident", Growth::Leak, false),
        ];
        examine(&memory)
    };
    let abouts: Vec<_> = findings.iter().map(|finding| finding.about.as_str()).collect();
    assert_eq!(abouts, ["live leaks", "tasks grows"]);
    let text = findings[0].to_string();
    for part in [
        "live leaks: live: 16.0 B/run, over 60 min.",
        "Threshold: growth over a window, and again",
        "What to do: take a heap profile",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn what_is_in_use_while_something_runs_is_no_finding() {
    let busy = found(|memory| {
        memory.steps_active = 1;
        memory.children = Some(9);
        memory.kept.as_mut().expect("there").temp_files = 5;
    });
    assert_eq!(busy, [""; 0]);
    // Files of a run that waits for a retry are in use too.
    let waits = found(|memory| {
        let kept = memory.kept.as_mut().expect("there");
        kept.temp_files = 5;
        kept.rows.insert("runs_queued".to_owned(), 1);
        memory.children = Some(9);
    });
    assert_eq!(waits, [""; 0]);
}

#[test]
fn whoever_else_is_connected_hides_nothing() {
    let watched = found(|memory| {
        (memory.quiescent, memory.connections, memory.streams) = (false, 3, 1);
        memory.children = Some(9);
        memory.kept.as_mut().expect("there").temp_files = 5;
    });
    assert_eq!(watched, ["child processes", "temporary files"]);
}
