//! The metrics: what they tell, and that no client can make them grow.

use std::collections::BTreeSet;

use serde_json::json;

use crate::bed::Bed;
use crate::client::call;

pub(crate) async fn metrics(bed: &Bed) -> String {
    let answer = bed.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn series(text: &str) -> BTreeSet<&str> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect()
}

pub(crate) fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn ground_g9_the_metrics_tell_what_is_held_and_done() {
    let bed =
        Bed::new(&[("one", "steps: [{ id: only, run: 'true' }]"), ("bad", "steps: [{ id: only, run: exit 1 }]")]).await;
    for workflow in ["one", "one", "bad"] {
        let run = bed.run(workflow).await;
        bed.ended(&run).await;
    }
    let text = metrics(&bed).await;
    assert!(text.ends_with("# EOF\n"));
    for (series, expected) in [
        ("staunch_ready", 1.0),
        ("staunch_runs{state=\"ended\"}", 3.0),
        ("staunch_runs{state=\"queued\"}", 0.0),
        ("staunch_runs_ended_total{outcome=\"succeeded\"}", 2.0),
        ("staunch_runs_ended_total{outcome=\"failed\"}", 1.0),
        ("staunch_attempts_started_total", 3.0),
        ("staunch_steps_active", 0.0),
        ("staunch_streams", 0.0),
        ("staunch_stale_total", 0.0),
        ("staunch_task_panics_total", 0.0),
        ("staunch_budget_bytes{budget=\"http_bodies\"}", 0.0),
        ("staunch_store_bytes{store=\"plans\"}", 0.0),
        ("staunch_store_bytes{store=\"http_bodies\"}", 0.0),
        ("staunch_store_entries{store=\"sessions\"}", 0.0),
        ("staunch_store_limit_entries{store=\"sessions\"}", 1024.0),
        ("staunch_store_evictions_total{store=\"tokens\",reason=\"capacity\"}", 0.0),
        ("staunch_store_reject_total{store=\"rate_login\"}", 0.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    for name in [
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
        "process_cpu_seconds_total",
        "process_start_time_seconds",
        "staunch_connections",
        "staunch_http_requests_total{class=\"2xx\"}",
        "staunch_disk_bytes{part=\"database\"}",
        "staunch_memory_bounds_bytes",
        "staunch_store_limit_bytes{store=\"passwords\"}",
        "staunch_store_bytes{store=\"rate_api\"}",
    ] {
        assert!(value(&text, name) > 0.0, "{name}");
    }
    bed.close().await;
}

#[tokio::test]
async fn no_client_can_add_a_series() {
    let bed = Bed::new(&[("one", "steps: [{ id: only, run: 'true' }]")]).await;
    let mut before = metrics(&bed).await;
    // The first look at files comes a moment after the start.
    while !before.contains("staunch_temp_files") {
        before = metrics(&bed).await;
    }
    for i in 0..50 {
        bed.get(&format!("/nothing/{i}")).await;
        bed.get(&format!("/api/v1/workflows/w{i}")).await;
        call(bed.address(), &format!("METHOD{i}"), "/", &[], "").await;
        bed.post(&format!("/api/v1/workflows/w{i}/runs"), &json!({})).await;
    }
    let run = bed.run("one").await;
    bed.ended(&run).await;
    let after = metrics(&bed).await;
    assert_eq!(series(&before), series(&after));
    bed.close().await;
}
