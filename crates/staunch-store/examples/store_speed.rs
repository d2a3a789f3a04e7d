//! How fast the embedded store is on this disk: `cargo run --release -p staunch-store --example store_speed -- [seconds] [directory]`.
#![expect(clippy::print_stdout, reason = "a measurement for people")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use staunch_flow::{Outcome, RunOutcome, StepIndex};
use staunch_store::{
    AttemptEnd, ClaimRequest, Commit, Durability, Incarnation, LogPlace, NewAttempt, NewEvent, NewRevision, NewRun,
    RevisionId, RunId, Sqlite, Store, StoreLimits,
};

const LIMITS: StoreLimits = StoreLimits {
    runs_open_max: 1_000_000,
    writes_queued_max: 1_024,
    writer_cache_kib: 8_192,
    reader_cache_kib: 2_048,
    events_per_run_max: 100_000,
    revision_bytes_max: 1 << 20,
    log_bytes_max: 16 << 20,
    log_inline_bytes_max: 4_096,
    disk_free_bytes_min: 0,
    idempotency_seconds: 86_400,
};

type Failure = Box<dyn Error + Send + Sync>;

/// One client: submit, claim, commit with a claimed successor, commit the end; four operations a run.
async fn client(
    store: Arc<Sqlite>,
    worker: Incarnation,
    stop: Arc<AtomicBool>,
    runs: Arc<AtomicU64>,
) -> Result<(), Failure> {
    let revision = RevisionId::of(b"text");
    let step = |n| NewAttempt { step: StepIndex(n), attempt: 1, delay: Duration::ZERO, claim_for: None };
    // Relaxed: a flag and a counter, no other memory hangs on them.
    while !stop.load(Ordering::Relaxed) {
        let run = NewRun {
            id: RunId::generate(),
            workflow: "bench".to_owned(),
            revision,
            inputs: [("target".to_owned(), json!("disk"))].into(),
            trigger: "api".to_owned(),
            rerun_of: None,
            ready: vec![step(0)],
            events: vec![NewEvent { name: "run.queued", body: json!({}), plan: None }],
            outcome: None,
        };
        store.submit(run, None).await?;
        let mut claims = store.claim(ClaimRequest { worker, slots: 1, kills_max: 1 }).await?.claimed;
        while let Some(claimed) = claims.pop() {
            let last = claimed.key.step.0 == 1;
            let commit = Commit {
                run: claimed.key.run,
                version: claimed.version,
                ended: vec![AttemptEnd {
                    key: claimed.key,
                    worker,
                    epoch: claimed.epoch,
                    outcome: Outcome::Succeeded,
                    result: json!({ "exit_code": 0, "stdout": "hello\n", "stderr": "" }),
                    duration: Duration::from_millis(1),
                    log: LogPlace::Inline(vec![7; 64]),
                }],
                ready: if last { vec![] } else { vec![NewAttempt { claim_for: Some(worker), ..step(1) }] },
                kill: vec![],
                events: vec![NewEvent { name: "step.ended", body: json!({ "step": 0 }), plan: None }],
                outcome: last.then_some(RunOutcome::Succeeded),
            };
            if let staunch_store::Committed::Recorded { claimed, .. } = store.commit(commit).await? {
                claims = claimed;
            }
        }
        runs.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn measure(place: &Path, clients: usize, time: Duration, durability: Durability) -> Result<(), Failure> {
    let directory = place.join(format!("{durability:?}-{clients}"));
    let store = Arc::new(Sqlite::open(&directory, LIMITS, durability)?);
    let text = Arc::from("text");
    store.publish(NewRevision { name: "bench".to_owned(), text, file: None }).await?;
    let worker = Incarnation::generate();
    store.join(worker, Duration::from_secs(3_600)).await?;
    let before = store.usage().await?;
    let (stop, runs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..clients {
        all.spawn(client(Arc::clone(&store), worker, Arc::clone(&stop), Arc::clone(&runs)));
    }
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    for ended in all.join_all().await {
        ended?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let usage = store.usage().await?;
    let operations = (usage.operations_total - before.operations_total) as f64;
    let commits = (usage.commits_total - before.commits_total) as f64;
    println!(
        "{durability:?} {clients:>4} clients: {:>7.0} ops/s {:>6.0} commits/s {:>5.1} ops a commit {:>6.0} runs/s; file {} KiB, log {} KiB",
        operations / seconds,
        commits / seconds,
        operations / commits,
        runs.load(Ordering::Relaxed) as f64 / seconds,
        usage.database_bytes >> 10,
        usage.wal_bytes >> 10,
    );
    store.close().await;
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let time = Duration::from_secs(arguments.next().map_or(Ok(2), |s| s.parse())?);
    let place = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("staunch-store-speed");
    for clients in [1, 16, 256] {
        measure(&place, clients, time, Durability::Full).await?;
    }
    measure(&place, 256, time, Durability::Off).await?;
    std::fs::remove_dir_all(&place)?;
    Ok(())
}
