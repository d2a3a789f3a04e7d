//! The life of runs: every operation on them that writes, and what must be true afterwards wherever it was cut.

use std::time::Duration;

use serde_json::json;
use staunch_flow::{Event, Outcome, RunOutcome, StepIndex};
use staunch_store::{
    AttemptEnd, AttemptKey, ClaimRequest, Claimed, Committed, IdempotencyKey, Incarnation, LogPlace, NewAttempt,
    NewEvent, NewRevision, NewRun, Renewal, Results, Retention, RunId, RunQuery, Sqlite, Store, StoreError,
};

use super::world::{World, rows};
use crate::conformance::{TTL, block_on, end_of, event, new_run, step_forward, text};
use crate::sqlite::killed::assert_whole;

/// Longer than anything here is kept.
const LONG: Duration = Duration::from_secs(100_000);
/// What a retry waits.
const DELAY: Duration = Duration::from_secs(5);

fn request(worker: Incarnation, slots: u32) -> ClaimRequest {
    ClaimRequest { worker, slots, kills_max: 100 }
}

fn everything_old() -> Retention {
    Retention { age_max: Some(Duration::ZERO), ..Retention::default() }
}

pub(crate) fn revision() -> NewRevision {
    NewRevision { name: "w".to_owned(), text: text("w").into(), file: None }
}

/// Recorded, or there is a mistake in the scenario.
fn recorded(committed: Committed) -> (u64, Vec<Claimed>) {
    match committed {
        Committed::Recorded { version, claimed, .. } => (version, claimed),
        other => panic!("not recorded: {other:?}"),
    }
}

fn cancel() -> NewEvent {
    NewEvent { plan: Some(Event::CancelRequested { force: false }), ..event(2) }
}

/// A worker joins and a run of two steps is accepted.
async fn accept(store: &Sqlite, world: &World) -> Result<(Incarnation, RunId), StoreError> {
    let worker = Incarnation::generate();
    world.step(|| store.publish(revision())).await?;
    world.step(|| store.join(worker, TTL)).await?;
    let new = new_run("w", &[0, 1]);
    let key = IdempotencyKey { key: "once".to_owned(), asked: [1; 32] };
    let run = world.step(|| store.submit(new.clone(), Some(key.clone()))).await?.run;
    world.ack(format_args!("at {run} 1"));
    assert!(world.step(|| store.submit(new.clone(), Some(key.clone()))).await?.replayed);
    Ok((worker, run))
}

/// Claimed; one attempt fails and is tried again later, then all is cancelled, killed, and over.
async fn retry_and_cancel(store: &Sqlite, world: &World) -> Result<RunId, StoreError> {
    let (worker, run) = accept(store, world).await?;
    let first = world.step(|| store.claim(request(worker, 1))).await?.claimed.remove(0);
    let mut commit = step_forward(run, first.version);
    let failed = AttemptEnd { outcome: Outcome::Failed, log: LogPlace::Inline(vec![7; 300]), ..end_of(&first, worker) };
    commit.ended = vec![failed];
    commit.ready = vec![NewAttempt { step: StepIndex(0), attempt: 2, delay: DELAY, claim_for: None }];
    commit.events = vec![event(1)];
    let (version, _) = recorded(world.step(|| store.commit(commit.clone())).await?);
    world.ack(format_args!("at {run} {version}"));

    world.advance(DELAY);
    let due = world.step(|| store.claim(request(worker, 9))).await?.claimed;
    assert_eq!(due.len(), 2, "the other step, and the first one's second attempt");
    let mut commit = step_forward(run, version);
    commit.kill = due.iter().map(|claimed| (claimed.key.step, claimed.key.attempt, Outcome::Cancelled)).collect();
    commit.events = vec![cancel()];
    let (version, _) = recorded(world.step(|| store.commit(commit.clone())).await?);
    world.ack(format_args!("at {run} {version}"));
    let Renewal::Held { kill } = world.step(|| store.renew(worker, TTL)).await? else { panic!("the lease runs") };
    assert_eq!(kill.len(), 2);

    let mut commit = step_forward(run, version);
    let ended = |claimed| AttemptEnd { outcome: Outcome::Cancelled, ..end_of(claimed, worker) };
    commit.ended = due.iter().map(ended).collect();
    commit.events = vec![event(3)];
    commit.outcome = Some(RunOutcome::Cancelled);
    let (version, _) = recorded(world.step(|| store.commit(commit.clone())).await?);
    world.ack(format_args!("over {run} {version}"));
    Ok(run)
}

/// A rerun keeps what is done; a worker leaves, another one dies, a third one does it.
async fn rerun_and_lose(store: &Sqlite, world: &World, of: RunId) -> Result<(), StoreError> {
    let rerun = NewRun { rerun_of: Some(of), trigger: "rerun".to_owned(), ..new_run("w", &[1]) };
    let run = world.step(|| store.submit(rerun.clone(), None)).await?.run;
    world.ack(format_args!("at {run} 1"));
    let [leaver, dead, heir] = [(); 3].map(|()| Incarnation::generate());
    world.step(|| store.join(leaver, TTL)).await?;
    world.step(|| store.claim(request(leaver, 1))).await?;
    world.step(|| store.leave(leaver)).await?;
    world.step(|| store.join(dead, TTL)).await?;
    world.step(|| store.claim(request(dead, 1))).await?;
    world.advance(TTL + DELAY);
    assert_eq!(world.step(|| store.reap(9)).await?, 1, "its lease ran out");
    world.step(|| store.join(heir, TTL)).await?;
    let claimed = world.step(|| store.claim(request(heir, 1))).await?.claimed.remove(0);
    // What follows is claimed along with what ends.
    let mut commit = step_forward(run, claimed.version);
    commit.ended = vec![end_of(&claimed, heir)];
    commit.ready = vec![NewAttempt { step: StepIndex(2), attempt: 1, delay: Duration::ZERO, claim_for: Some(heir) }];
    commit.events = vec![event(4)];
    let (version, along) = recorded(world.step(|| store.commit(commit.clone())).await?);
    world.ack(format_args!("at {run} {version}"));
    let mut commit = step_forward(run, version);
    commit.ended = vec![end_of(&along[0], heir)];
    commit.events = vec![event(5)];
    commit.outcome = Some(RunOutcome::Succeeded);
    let (version, _) = recorded(world.step(|| store.commit(commit.clone())).await?);
    world.ack(format_args!("over {run} {version}"));
    world.step(|| store.leave(heir)).await
}

/// Every question about runs, once.
async fn ask(store: &Sqlite, world: &World, run: RunId) -> Result<(), StoreError> {
    let attempt = AttemptKey { run, step: StepIndex(0), attempt: 1 };
    assert_eq!(world.step(|| store.workflows()).await?.len(), 1);
    let id = world.step(|| store.run(run)).await?.unwrap().head.revision;
    assert!(world.step(|| store.revision(id)).await?.is_some());
    assert!(world.step(|| store.journal(run)).await?.is_some());
    assert!(!world.step(|| store.runs(RunQuery { limit: 10, ..RunQuery::default() })).await?.items.is_empty());
    assert_eq!(world.step(|| store.attempts(run, Results::UpTo { bytes: 1 << 20 })).await?.len(), 3);
    assert_eq!(world.step(|| store.inline_log(attempt)).await?.map(|log| log.len()), Some(300));
    assert!(!world.step(|| store.events(run, 0, 100)).await?.is_empty());
    world.step(|| store.usage()).await?;
    world.step(|| store.writable()).await
}

/// Nothing of what ended stays: runs, then what nobody names any more, then keys at their expiry.
async fn forget(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    world.advance(LONG);
    world.ack("forgetting");
    world.step(|| store.retire("w")).await?;
    let retention = everything_old();
    while world.step(|| store.sweep(&retention, 100)).await?.more {}
    Ok(())
}

/// Texts that are published, changed, moved and retired.
pub(crate) async fn texts(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    for (text, file) in [("one", None), ("two", None), ("two", Some("w.yaml".to_owned()))] {
        store.publish(NewRevision { name: "w".to_owned(), text: text.into(), file }).await?;
    }
    assert_eq!(store.workflows().await?.len(), 1);
    forget(store, world).await
}

/// Workers that leave, that die, and that are followed by another.
pub(crate) async fn workers(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    let [leaver, dead, last] = [(); 3].map(|()| Incarnation::generate());
    store.join(leaver, TTL).await?;
    store.renew(leaver, TTL).await?;
    store.leave(leaver).await?;
    store.join(dead, TTL).await?;
    world.advance(TTL);
    assert_eq!(store.renew(dead, TTL).await?, Renewal::Lost);
    store.reap(9).await?;
    store.join(last, TTL).await?;
    store.leave(last).await
}

/// What is refused: an unknown text, a key too long, a stale result, another version.
pub(crate) async fn refusals(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    let key = IdempotencyKey { key: "k".repeat(256), asked: [0; 32] };
    assert!(store.submit(new_run("nobody", &[0]), None).await.is_err());
    store.publish(revision()).await?;
    assert!(store.submit(new_run("w", &[0]), Some(key)).await.is_err());
    assert!(store.submit(new_run("w", &[]), None).await.is_err());
    assert!(matches!(store.commit(step_forward(RunId::generate(), 1)).await?, Committed::Conflict));
    assert!(store.claim(request(Incarnation::generate(), 1)).await?.claimed.is_empty());
    forget(store, world).await
}

/// All of it. Afterwards the store is as it was.
pub(crate) async fn whole_life(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    let run = retry_and_cancel(store, world).await?;
    rerun_and_lose(store, world, run).await?;
    forget(store, world).await
}

/// A run and every question about it.
pub(crate) async fn a_run_and_questions(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    let run = retry_and_cancel(store, world).await?;
    ask(store, world, run).await?;
    forget(store, world).await
}

/// After a run of a scenario, however it ended: what was acknowledged is there; what is there can be brought to its end; and then
/// nothing is left.
pub(crate) fn check(world: &World) {
    let acks = world.acks();
    block_on(async {
        let store = world.opening().open().unwrap();
        for ack in acks.iter().filter(|_| !acks.iter().any(|ack| ack.starts_with("forgetting"))) {
            promised(&store, ack).await;
        }
        finish(&store, world).await;
        forget(&store, world).await.unwrap();
        store.close().await;
    });
    assert_whole(&world.database());
    assert_eq!(world.files(), ["lock", "staunch.db"]);
    let rows = rows(&world.database());
    assert!(rows.is_empty(), "nobody owns these: {rows:?}");
    world.clear();
}

/// `at <run> <version>`: it came so far. `over <run> <version>`: and ended so.
async fn promised(store: &Sqlite, ack: &str) {
    let mut words = ack.split(' ');
    let (what, run, version) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let run: RunId = run.parse().unwrap();
    let version: u64 = version.parse().unwrap();
    let journal = store.journal(run).await.unwrap().unwrap_or_else(|| panic!("lost: {ack}"));
    assert!(journal.version >= version, "{ack}, and now {}", journal.version);
    if what == "over" {
        assert!(journal.version == version && journal.outcome.is_some() && journal.in_flight.is_empty(), "{ack}");
    }
}

/// A worker comes, as after a restart, and ends what there is.
async fn finish(store: &Sqlite, world: &World) {
    let worker = Incarnation::generate();
    store.join(worker, LONG).await.unwrap();
    loop {
        let claims = store.claim(request(worker, 100)).await.unwrap();
        for claimed in &claims.claimed {
            let journal = store.journal(claimed.key.run).await.unwrap().unwrap();
            let mut commit = step_forward(claimed.key.run, journal.version);
            commit.ended = vec![AttemptEnd { result: json!({}), ..end_of(claimed, worker) }];
            commit.events = vec![event(9)];
            commit.outcome = (journal.in_flight.len() == 1).then_some(RunOutcome::Succeeded);
            recorded(store.commit(commit).await.unwrap());
        }
        match claims.next_due {
            _ if !claims.claimed.is_empty() => {}
            Some(due) => world.advance(due),
            None => break,
        }
    }
    store.leave(worker).await.unwrap();
    let usage = store.usage().await.unwrap();
    assert_eq!((usage.runs["queued"], usage.runs["running"], usage.attempts_in_flight), (0, 0, 0));
}
