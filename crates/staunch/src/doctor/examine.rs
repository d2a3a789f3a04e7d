//! The rules: from what a server says of itself to what is not as it should be. Pure.

use staunch_server::wire::{Growth, HeldStore, Memory, Rung, WatchedResource};

use super::finding::Finding;
use crate::render::bytes;

/// Part of a limit, in percent, above which it is near.
const NEAR_PERCENT: u64 = 80;
/// Part of a store's bound, in percent, above which it is nearly full. Higher than that of a limit, because a store stops by itself.
const FULL_PERCENT: u64 = 90;
/// Stores that are full as a rule, since they keep what was read until something newer needs the room.
const CACHES: [&str; 2] = ["sqlite", "workflows"];
/// Resident bytes for a live one, in percent, above which the allocator keeps too much: Redis says 140, Prometheus rules 150.
const SLACK_PERCENT: u64 = 150;
/// Below so many live bytes a ratio says nothing, because what any process needs weighs more.
const SLACK_BYTES_MIN: u64 = 64 << 20;
/// Percent of a minute in which something, or everything, waited for memory.
const SOME_PERCENT: f64 = 10.0;
const FULL_STALL_PERCENT: f64 = 1.0;
/// Twice what a server keeps free by default: below that new runs are refused soon.
const FREE_BYTES_MIN: u64 = 512 << 20;
/// A write-ahead log that is copied into the database in time has a few megabytes.
const WAL_BYTES_MAX: u64 = 256 << 20;
/// It is judged once a minute, and a look at the disk beside it may take a few.
const JUDGED_SECONDS_MAX: u64 = 600;
/// A thousandth of a processor, at a census each second.
const CENSUS_MICROS_MAX: u64 = 1_000;
/// The average of fewer says nothing: one that had to wait for a processor is most of it.
const CENSUSES_MIN: u64 = 60;

/// All findings, the gravest first.
pub(crate) fn examine(memory: &Memory) -> Vec<Finding> {
    let mut findings = Vec::new();
    for state in [Growth::Leak, Growth::Growing] {
        let all = memory.resources.iter().filter(|resource| resource.counts && resource.state == state);
        findings.extend(all.map(|resource| growth(resource, memory)));
    }
    findings.extend(rung(memory));
    findings.extend(kernel(memory));
    findings.extend(limits(memory));
    findings.extend(memory.stores.iter().filter_map(store));
    findings.extend(slack(memory));
    findings.extend(strays(memory));
    findings.extend(disk(memory));
    if let Some(ago) = memory.judged_seconds_ago.filter(|ago| *ago > JUDGED_SECONDS_MAX) {
        let advice = "the watch stands still, so no verdict here is of now: look whether the disk answers, and report it; restart the server";
        let measured = format!("what the server holds was judged {ago} s ago");
        findings.push(Finding::new("watch", measured, format!("{JUDGED_SECONDS_MAX} s"), advice));
    }
    let micros = memory.census.mean_micros;
    if micros > CENSUS_MICROS_MAX && memory.census.taken >= CENSUSES_MIN {
        let advice =
            "close what is open, or report it: the more threads and stores there are, the more there is to count";
        let threshold = format!("{CENSUS_MICROS_MAX} µs, a thousandth of a processor");
        findings.push(Finding::new("census", format!("one takes {micros} µs on the average"), threshold, advice));
    }
    findings
}

fn growth(resource: &WatchedResource, memory: &Memory) -> Finding {
    let name = &resource.name;
    let (about, threshold) = match resource.state {
        Growth::Leak => (format!("{name} leaks"), "growth over a window, and again over what came after it"),
        _ => (format!("{name} grows"), "growth over a window, by its lower bound at 99 %"),
    };
    let measured = format!("{}, over {} min", resource.says, resource.window_seconds / 60);
    let advice = match name.as_str() {
        "live" | "unattributed" => match memory.profiles.first() {
            Some(newest) => format!(
                "look at the heap profile profiles/{} in the data directory with `go tool pprof`, and report it; a restart frees the memory",
                newest.file
            ),
            None => "take a heap profile and report it; a restart frees the memory".to_owned(),
        },
        "fds" => {
            "see which descriptors they are (`ls -l /proc/PID/fd`) and report it; a restart closes them".to_owned()
        }
        "temp_files" => "see what stays in the data directory's `work`, and report it; a restart removes it".to_owned(),
        "children" => {
            "see which processes they are (`ps --ppid PID`) and report it; steps should leave none".to_owned()
        }
        "rows" | "disk" => "lower `retention_days`, `retention_runs` or `retention_bytes`".to_owned(),
        _ => "report it, with what `staunch doctor --bundle FILE` writes; a restart helps for a while".to_owned(),
    };
    Finding::new(about, measured, threshold, advice)
}

/// What the server does about memory that is scarce, from where it refuses on.
fn rung(memory: &Memory) -> Option<Finding> {
    let does = match memory.rung {
        Rung::Calm | Rung::Trim | Rung::Slow => return None,
        Rung::Refuse => "no run begins; logins, streams and reruns are refused; new runs stay queued",
        Rung::Shed => "new runs are refused, and the run that holds the most is cancelled, one every five seconds",
    };
    let shed = memory.runs_shed;
    let measured = format!("memory is scarce: {does}; {shed} runs were cancelled for it since the start");
    let advice = "see what holds it (`staunch memory`, and the steps that run); give the server more memory, or lower `steps_active_max`";
    Some(Finding::new("memory pressure", measured, "92 % of what it may use, until it is below 87 %", advice))
}

fn kernel(memory: &Memory) -> Vec<Finding> {
    let mut findings = Vec::new();
    let event = |name: &str| {
        let events = memory.cgroup.as_ref().map(|group| &group.events_since_start);
        events.and_then(|events| events.get(name).copied()).unwrap_or(0)
    };
    let advice = "give the cgroup more memory, or lower the limits whose sum `staunch serve` prints";
    // Not `max`: the kernel counts there each time that it had to take pages back, as it does all day where files are read.
    for (name, what) in [
        ("oom_kill", "processes of the cgroup were killed for want of memory"),
        ("oom", "times the cgroup was at its limit and nothing could be taken back"),
    ] {
        if event(name) > 0 {
            let about = format!("cgroup {name}");
            findings.push(Finding::new(about, format!("{} {what}", event(name)), "0 since the server started", advice));
        }
    }
    if let Some(pressure) = memory.pressure
        && (pressure.some_avg60 > SOME_PERCENT || pressure.full_avg60 > FULL_STALL_PERCENT)
    {
        let measured = format!(
            "something waited for memory in {:.1} % of the last minute, everything in {:.1} %",
            pressure.some_avg60, pressure.full_avg60
        );
        let threshold = format!("{SOME_PERCENT} % and {FULL_STALL_PERCENT} %");
        findings.push(Finding::new("memory stalls", measured, threshold, advice));
    }
    findings
}

fn limits(memory: &Memory) -> Vec<Finding> {
    let mut findings = Vec::new();
    // What is live is what the program needs; what is resident is all we know where the allocator does not count.
    let used = memory.live_bytes.map(|live| ("live", live)).or(memory.resident_bytes.map(|bytes| ("resident", bytes)));
    if let (Some((what, used)), Some(limit)) = (used, memory.limit_bytes)
        && is_near(used, limit)
    {
        let measured = format!("{} {what} of {} that it may use", bytes(used), bytes(limit));
        let advice = "give it more memory, or lower the limits whose sum `staunch serve` prints; near the limit new runs are refused";
        findings.push(Finding::new("memory", measured, format!("{NEAR_PERCENT} %"), advice));
    }
    if let (Some(open), Some(most)) = (memory.fds, memory.fds_max)
        && is_near(open, most)
    {
        let measured = format!("{open} file descriptors are open of {most} that may be");
        let advice =
            "raise the limit (`LimitNOFILE=` under systemd, `ulimit -n` in a shell), or lower `connections_max`";
        findings.push(Finding::new("file descriptors", measured, format!("{NEAR_PERCENT} %"), advice));
    }
    findings
}

fn is_near(used: u64, limit: u64) -> bool {
    u128::from(used) * 100 > u128::from(limit) * u128::from(NEAR_PERCENT)
}

fn store(store: &HeldStore) -> Option<Finding> {
    let HeldStore { name, bytes: held, bytes_max, entries, entries_max, refused, .. } = store;
    if CACHES.contains(&name.as_str()) {
        return None;
    }
    // A table of fixed size always takes all its bytes: how full it is, its entries say.
    let (held, most, what) = match (entries, entries_max) {
        (Some(entries), Some(most)) => (*entries, *most, "entries"),
        _ => (*held, *bytes_max, "bytes"),
    };
    if most > 0 && u128::from(held) * 100 > u128::from(most) * u128::from(FULL_PERCENT) {
        let measured = format!("{held} of {most} {what} are held, and {refused} found no room since the start");
        let advice = "if it stays so, raise its limit: docs/operations.md has the table";
        return Some(Finding::new(format!("store {name}"), measured, format!("{FULL_PERCENT} %"), advice));
    }
    None
}

fn slack(memory: &Memory) -> Option<Finding> {
    let (live, resident) = (memory.live_bytes?, memory.resident_bytes?);
    let is_slack = live >= SLACK_BYTES_MIN && u128::from(resident) * 100 > u128::from(live) * u128::from(SLACK_PERCENT);
    is_slack.then(|| {
        let measured = format!("{} are resident for {} that are live", bytes(resident), bytes(live));
        let threshold = format!("{SLACK_PERCENT} %, from {} live on", bytes(SLACK_BYTES_MIN));
        let advice = "nothing at once: this is room that the allocator keeps, not a leak; if it lasts for hours, restart at a quiet time";
        Finding::new("fragmentation", measured, threshold, advice)
    })
}

/// What is left although nothing runs. While something does, it may be in use.
fn strays(memory: &Memory) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Whoever else asks, or follows, is connected and has no processes and no files.
    let open = |kept: &staunch_server::wire::KeptOnDisk| {
        ["runs_queued", "runs_running"].iter().filter_map(|state| kept.rows.get(*state)).sum::<u64>()
    };
    let Some(kept) = memory.kept.as_ref().filter(|kept| memory.steps_active == 0 && open(kept) == 0) else {
        return findings;
    };
    let strays = memory.children.unwrap_or(0).saturating_sub(memory.keepers);
    if strays > 0 {
        let measured = format!("{strays} child processes that keep no step, while nothing runs");
        let advice = "see which they are (`ps --ppid PID`) and report it";
        findings.push(Finding::new("child processes", measured, "0", advice));
    }
    if kept.temp_files > 0 {
        let measured =
            format!("{} files of {} in `work`, while no run is open", kept.temp_files, bytes(kept.temp_bytes));
        let advice = "a restart removes them; if they come again, report it";
        findings.push(Finding::new("temporary files", measured, "0", advice));
    }
    findings
}

fn disk(memory: &Memory) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(kept) = &memory.kept else { return findings };
    if let Some(free) = kept.free_bytes.filter(|free| *free < FREE_BYTES_MIN) {
        let advice = "make room, or lower `retention_days`, `retention_runs` or `retention_bytes`; below `disk_free_bytes_min` new runs are refused";
        findings.push(Finding::new("disk", format!("{} are free", bytes(free)), bytes(FREE_BYTES_MIN), advice));
    }
    if let Some(wal) = kept.wal_bytes.filter(|wal| *wal > WAL_BYTES_MAX) {
        let advice = "look for a backup or another reader that keeps a transaction open on the database";
        let measured = format!("the write-ahead log has {}", bytes(wal));
        findings.push(Finding::new("write-ahead log", measured, bytes(WAL_BYTES_MAX), advice));
    }
    findings
}

#[cfg(test)]
mod tests;
