//! `kill -9` at any moment: what was acknowledged is there, and what is there is whole.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rusqlite::Connection;
use staunch_flow::RunOutcome;
use staunch_store::{Committed, Durability, Incarnation, NewRevision, Results, RunId, Sqlite, Store};

use crate::conformance::{LIMITS, TTL, block_on, end_of, event, new_run, step_forward, text};

/// Set in a child, to the name of the test whose body it is to run.
const CHILD: &str = "STAUNCH_TEST_CHILD";
/// Where the child's store is.
pub(crate) const PLACE: &str = "STAUNCH_TEST_PLACE";
/// Kills in a normal test run.
const ROUNDS: usize = 12;

/// Runs `body` in a process of its own: this test, begun again. `SIGXFSZ` is ignored there.
pub(crate) fn in_a_child(test: &str, body: fn()) {
    if is_child(test) {
        body();
        return;
    }
    let output = child(test).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}\n{complaints}");
}

/// Whether this process is the child that runs the body of this test.
pub(crate) fn is_child(test: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|name| name == test)
}

/// Where the store of this child is.
pub(crate) fn place_of_child() -> PathBuf {
    PathBuf::from(std::env::var(PLACE).unwrap())
}

/// Has a child run the body of this test on a store at `place`, and kills it when it has told `after` acknowledgements; all it told.
pub(crate) fn acks_until_killed(test: &str, place: &Path, after: usize) -> Vec<String> {
    let mut child = child(test).env(PLACE, place).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acks: Vec<String> = lines.by_ref().filter(|l| l.contains("ACK ")).take(after).collect();
    child.kill().unwrap();
    // What was written before the kill was acknowledged too; a line that was cut was not.
    acks.extend(lines.filter(|l| l.contains("ACK ") && l.split(' ').count() == 5));
    child.wait().unwrap();
    assert!(acks.len() >= after, "the child ended by itself");
    acks
}

fn child(test: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]).arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, test);
    command
}

/// Four clients on one store, each telling what was acknowledged, until somebody kills the process.
fn work() {
    let place = place_of_child();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(Sqlite::open(&place, LIMITS, Durability::Full).unwrap());
        let worker = Incarnation::generate();
        store.join(worker, TTL * 100).await.unwrap();
        let revision = NewRevision { name: "w".to_owned(), text: Arc::from(text("w")), file: None };
        store.publish(revision).await.unwrap();
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..4 {
            clients.spawn(client(Arc::clone(&store), worker));
        }
        clients.join_all().await;
    });
}

async fn client(store: Arc<Sqlite>, worker: Incarnation) {
    loop {
        let run = store.submit(new_run("w", &[0]), None).await.unwrap().run;
        told(&format!("submitted {run} 1 0"));
        let request = staunch_store::ClaimRequest { worker, slots: 1, kills_max: 0 };
        let Some(claimed) = store.claim(request).await.unwrap().claimed.pop() else { continue };
        let mut commit = step_forward(claimed.key.run, claimed.version);
        commit.ended = vec![end_of(&claimed, worker)];
        commit.events = vec![event(1)];
        commit.outcome = Some(RunOutcome::Succeeded);
        if let Committed::Recorded { version, last_event, .. } = store.commit(commit).await.unwrap() {
            told(&format!("ended {} {version} {last_event}", claimed.key.run));
        }
    }
}

/// One write a line, so that a kill cuts at most the last.
pub(crate) fn told(what: &str) {
    let line = format!("ACK {what}\n");
    // The parent is gone, or about to kill us.
    drop(std::io::stdout().lock().write_all(line.as_bytes()));
}

#[test]
fn what_was_acknowledged_outlives_kill_9() {
    const NAME: &str = "sqlite::killed::what_was_acknowledged_outlives_kill_9";
    if is_child(NAME) {
        return work();
    }
    let place = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    // Any numbers will do; these are spread and the same each time.
    let mut seed = 0x5EED_u64;
    for _ in 0..ROUNDS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let after = 1 + (seed >> 33) as usize % 400;
        let acks = acks_until_killed(NAME, place.path(), after);
        acknowledged += acks.len();
        check(place.path(), &acks);
    }
    assert!(acknowledged > ROUNDS);
}

fn check(place: &Path, acks: &[String]) {
    block_on(async {
        let store = Sqlite::open(place, LIMITS, Durability::Full).unwrap();
        for ack in acks {
            let mut words = ack.split("ACK ").nth(1).unwrap().split(' ');
            let (what, run) = (words.next().unwrap(), words.next().unwrap());
            let numbers: Vec<u64> = words.map(|n| n.parse().unwrap()).collect();
            let run: RunId = run.parse().unwrap();
            let row = store.run(run).await.unwrap().unwrap_or_else(|| panic!("lost: {ack}"));
            let journal = store.journal(run).await.unwrap().unwrap();
            assert!(journal.version >= numbers[0], "{ack}");
            if what == "ended" {
                assert_eq!(row.outcome, Some(RunOutcome::Succeeded), "{ack}");
                assert_eq!(store.attempts(run, Results::Nothing).await.unwrap().len(), 1, "recorded once");
                assert_eq!(store.events(run, 0, 100).await.unwrap().len() as u64, numbers[1], "{ack}");
            }
        }
        store.close().await;
    });
    assert_whole(&place.join("staunch.db"));
}

/// The file is sound, no event is missing between two, and the totals are what a recount finds.
pub(crate) fn assert_whole(file: &Path) {
    let connection = Connection::open(file).unwrap();
    let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    assert!(!connection.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap());
    let holes = "SELECT count(*) FROM run WHERE last_event <> (SELECT count(*) FROM event WHERE run = run.n)
        OR last_event <> (SELECT coalesce(max(seq), 0) FROM event WHERE run = run.n)";
    assert_eq!(one(holes), 0, "events are numbered without holes");
    let versions = "SELECT count(*) FROM run WHERE version <> 1 + (SELECT count(*) FROM event e WHERE e.run = run.n
        AND e.name = 'test.told')";
    assert_eq!(one(versions), 0, "each commit told one event and moved the version by one");
    for (column, recount) in [
        ("queued", "SELECT count(*) FROM run WHERE state = 0"),
        ("running", "SELECT count(*) FROM run WHERE state = 1"),
        ("ended", "SELECT count(*) FROM run WHERE state = 2"),
        ("ended", "SELECT coalesce(sum(ended), 0) FROM kept"),
        ("in_flight", "SELECT count(*) FROM ready"),
        ("keys", "SELECT count(*) FROM idempotency"),
        ("bytes", "SELECT coalesce(sum(bytes), 0) FROM run"),
        ("log_bytes", "SELECT coalesce(sum(log_bytes), 0) FROM run"),
        ("users", "SELECT count(*) FROM user"),
        ("sessions", "SELECT count(*) FROM session"),
        ("tokens", "SELECT count(*) FROM token"),
        ("audit_rows", "SELECT count(*) FROM audit"),
    ] {
        assert_eq!(one(&format!("SELECT {column} FROM tally")), one(recount), "{column}: {recount}");
    }
}
