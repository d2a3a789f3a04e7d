//! The alerts that come with the server: Prometheus takes them, the server tells what they ask for, and each fires when it should.

use std::collections::BTreeSet;
use std::process::Command;

use staunch_server::WatchConfig;

use crate::memory::{bed, group_root, hurried, told, until};
use crate::metrics::metrics;

const ALERTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/prometheus-alerts.yaml");

/// Runs promtool; what it says.
fn promtool(arguments: &[&str]) -> (bool, String) {
    let done = Command::new("promtool").args(arguments).output().expect("promtool is there: cargo xtask installs it");
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// The names of metrics in a text of rules: what begins like one of ours or of the process's.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).flat_map(|expression| {
        expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned).collect::<Vec<_>>()
    });
    words.filter(|word| word.starts_with("staunch_") || word.starts_with("process_")).collect()
}

#[test]
fn prometheus_takes_the_alerts() {
    let (ok, said) = promtool(&["check", "rules", "--lint=all", "--lint-fatal", ALERTS]);
    assert!(ok && said.contains("SUCCESS: 18 rules found"), "{said}");
    // And it would say so if it did not.
    let broken = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(broken.path(), std::fs::read_to_string(ALERTS).unwrap().replace("> 0.8", "> > 0.8")).unwrap();
    let (ok, said) = promtool(&["check", "rules", broken.path().to_str().unwrap()]);
    assert!(!ok && said.contains("parse error"), "{said}");
}

#[tokio::test]
async fn every_metric_that_an_alert_names_is_told() {
    let root = group_root();
    let watch = WatchConfig { root: root.path().to_owned(), ..hurried() };
    let bed = bed(watch, told()).await;
    until(&bed, || {}, |told| !told["resources"].as_array().unwrap().is_empty()).await;
    let text = metrics(&bed).await;
    let told: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    let named = named(&std::fs::read_to_string(ALERTS).unwrap());
    assert!(named.len() > 15, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !told.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?} in {told:?}");
    bed.close().await;
}

/// A series of an instance, with one value all the time or a step a minute: promtool's own notation.
fn series(name: &str, values: &str) -> String {
    let (name, labels) = name.split_once('{').map_or((name, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
    let comma = if labels.is_empty() { "" } else { "," };
    format!("      - {{ series: '{name}{{instance=\"i\",job=\"j\"{comma}{labels}}}', values: '{values}' }}\n")
}

type Series<'a> = &'a [(&'a str, &'a str)];

/// Whether promtool finds that none of these alerts fires after ten hours of its series, and what it says.
fn none_fires(cases: &[(&str, Series<'_>)]) -> (bool, String) {
    // Asking each minute would take half a minute of the processor.
    let mut text = format!("rule_files: ['{ALERTS}']\nevaluation_interval: 30m\ntests:\n");
    for (alert, all) in cases {
        let input: String = all.iter().map(|(name, values)| series(name, values)).collect();
        text += &format!(
            "  - interval: 1m\n    input_series:\n{input}    alert_rule_test:\n      \
             - {{ eval_time: 10h, alertname: {alert}, exp_alerts: [] }}\n"
        );
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    promtool(&["test", "rules", file.path().to_str().unwrap()])
}

#[test]
fn each_alert_fires_when_it_should_and_not_before() {
    let leak = |state: &'static str| match state {
        "leak" => "staunch_leak_verdict{resource=\"fds\",state=\"leak\"}",
        _ => "staunch_leak_verdict{resource=\"fds\",state=\"growing\"}",
    };
    // What does not count: `live` is judged by its parts.
    let resident = "staunch_leak_verdict{resource=\"resident\",state=\"leak\"}";
    let [live_leaks, live_grows] =
        ["leak", "growing"].map(|state| format!("staunch_leak_verdict{{resource=\"live\",state=\"{state}\"}}"));
    let oom = "staunch_cgroup_memory_events_total{event=\"oom_kill\"}";
    let full = "staunch_memory_stalled_seconds_total{kind=\"full\"}";
    let (plans, rate) = ("store=\"plans\"}", "store=\"rate_api\"}");
    let (held, most) = ("staunch_store_bytes{", "staunch_store_limit_bytes{");
    let of = |name: &str, label: &str| format!("{name}{label}");
    let (held_sqlite, most_sqlite) = (of(held, "store=\"sqlite\"}"), of(most, "store=\"sqlite\"}"));
    let (held_plans, most_plans) = (of(held, plans), of(most, plans));
    let (held_rate, most_rate) = (of(held, rate), of(most, rate));
    let (queued, limit) = ("staunch_runs{state=\"queued\"}", "staunch_memory_limit_bytes");
    let live = "staunch_memory_live_bytes";
    let (resides, allocated) = ("staunch_allocator_resident_bytes", "staunch_allocator_allocated_bytes");
    let cases: [(&str, Series<'_>, Series<'_>); 18] = [
        (
            "StaunchLeak",
            &[(leak("leak"), "1x600")],
            &[(leak("leak"), "0x600"), (resident, "1x600"), (&live_leaks, "1x600")],
        ),
        ("StaunchGrowing", &[(leak("growing"), "1x600")], &[(leak("growing"), "0x500 1x100"), (&live_grows, "1x600")]),
        ("StaunchMemoryNearLimit", &[(live, "81x600"), (limit, "100x600")], &[(live, "80x600"), (limit, "100x600")]),
        ("StaunchMemoryRunsOut", &[(live, "0+1x600"), (limit, "1500x600")], &[(live, "0+1x600"), (limit, "3000x600")]),
        (
            "StaunchDescriptorsNearLimit",
            &[("process_open_fds", "81x600"), ("process_max_fds", "100x600"), ("staunch_ready", "1x600")],
            // Of somebody else.
            &[("process_open_fds", "81x600"), ("process_max_fds", "100x600")],
        ),
        ("StaunchKilledForMemory", &[(oom, "0x570 1x30")], &[(oom, "7x600")]),
        (
            "StaunchRestarted",
            &[("process_start_time_seconds", "7x570 9x30"), ("staunch_ready", "1x600")],
            // Long ago, and somebody else.
            &[("process_start_time_seconds", "7x500 9x100"), ("staunch_ready", "1x600")],
        ),
        (
            "StaunchMemoryPressed",
            &[("staunch_memory_pressure_level", "3x600")],
            &[("staunch_memory_pressure_level", "2x600")],
        ),
        ("StaunchRunsShed", &[("staunch_runs_shed_total", "0x570 1x30")], &[("staunch_runs_shed_total", "7x600")]),
        (
            "StaunchTaskPanicked",
            &[("staunch_task_panics_total", "0x570 1x30")],
            &[("staunch_task_panics_total", "7x600")],
        ),
        (
            "StaunchWatchStandsStill",
            &[("staunch_census_total", "0+60x500 30000x100")],
            &[("staunch_census_total", "0+60x600")],
        ),
        ("StaunchMemoryStalls", &[(full, "0+1x600")], &[(full, "0+0.1x600")]),
        (
            "StaunchFragmentation",
            &[(resides, "160000000x600"), (allocated, "100000000x600")],
            &[(resides, "16x600"), (allocated, "10x600")],
        ),
        (
            "StaunchStrayChildren",
            &[("staunch_children", "3x600"), ("staunch_keepers", "2x600")],
            &[("staunch_children", "2x600"), ("staunch_keepers", "2x600")],
        ),
        (
            "StaunchTemporaryFilesLeft",
            &[("staunch_temp_files", "3x600"), (queued, "0x600")],
            &[("staunch_temp_files", "3x600"), (queued, "1x600")],
        ),
        (
            "StaunchStoreFull",
            &[(&held_plans, "91x600"), (&most_plans, "100x600")],
            &[
                (&held_plans, "90x600"),
                (&most_plans, "100x600"),
                (&held_rate, "100x600"),
                (&most_rate, "100x600"),
                (&held_sqlite, "100x600"),
                (&most_sqlite, "100x600"),
            ],
        ),
        (
            "StaunchDiskNearlyFull",
            &[("staunch_disk_free_bytes", "1000x600")],
            &[("staunch_disk_free_bytes", "900000000x600")],
        ),
        ("StaunchNotReady", &[("staunch_ready", "0x600")], &[("staunch_ready", "1x600")]),
    ];
    let well: Vec<_> = cases.iter().map(|(alert, _, well)| (*alert, *well)).collect();
    let (none, said) = none_fires(&well);
    assert!(none && said.contains("SUCCESS"), "{said}");
    // Where none is expected each that fires is an error, which names it.
    let ill: Vec<_> = cases.iter().map(|(alert, ill, _)| (*alert, *ill)).collect();
    let (none, said) = none_fires(&ill);
    assert!(!none, "{said}");
    for (alert, _, _) in cases {
        assert!(said.contains(&format!("alertname: {alert}, time: 10h")), "{alert} does not fire: {said}");
    }
}
