//! A file of an older Staunch is moved on with all that is in it.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use staunch_flow::RunOutcome;
use staunch_store::{
    Accounts, Durability, HandClock, Opening, Results, Role, RunId, RunQuery, Store, UserCreated, WorkflowRow,
};

use super::killed::assert_whole;
use crate::conformance::accounts::{actor, new_user};
use crate::conformance::{LIMITS, Subject, block_on, end_of, event, step_forward};

/// The schema before there were accounts, as it was.
const FIRST: &str = include_str!("../../../src/sqlite/migrations/0001.sql");

fn one<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> T {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Writes all rows of a file of today into one of the first schema.
fn as_it_was(today: &Path, old: &Path) {
    let connection = Connection::open(old).unwrap();
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.execute_batch(FIRST).unwrap();
    let application: i32 = one(&Connection::open(today).unwrap(), "PRAGMA application_id");
    connection.pragma_update(None, "application_id", application).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute("ATTACH ?1 AS today", [today.to_str().unwrap()]).unwrap();
    connection.execute("DELETE FROM main.tally", []).unwrap();
    for table in texts(&connection, "SELECT name FROM main.sqlite_schema WHERE type = 'table'") {
        let columns = texts(&connection, &format!("SELECT name FROM pragma_table_info('{table}')")).join(", ");
        let copy = format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM today.{table}");
        connection.execute(&copy, []).unwrap();
    }
    connection.close().unwrap();
}

#[derive(Debug, PartialEq)]
struct Seen {
    workflows: String,
    runs: Vec<String>,
    attempts: Vec<String>,
    events: Vec<String>,
    states: std::collections::BTreeMap<String, u64>,
}

async fn seen(store: &dyn Store) -> Seen {
    let runs = store.runs(RunQuery { limit: 200, ..RunQuery::default() }).await.unwrap().items;
    let (mut attempts, mut events) = (Vec::new(), Vec::new());
    for run in &runs {
        let all = store.attempts(run.head.id, Results::UpTo { bytes: u64::MAX }).await.unwrap();
        attempts.extend(all.iter().map(|row| format!("{row:?}")));
        events.extend(store.events(run.head.id, 0, 100).await.unwrap().iter().map(|row| format!("{row:?}")));
    }
    let workflows: Vec<WorkflowRow> = store.workflows().await.unwrap();
    Seen {
        workflows: format!("{workflows:?}"),
        runs: runs.iter().map(|row| format!("{row:?}")).collect(),
        attempts,
        events,
        states: store.usage().await.unwrap().runs,
    }
}

#[test]
fn a_file_from_before_there_were_accounts_keeps_its_runs_and_takes_accounts() {
    let place = tempfile::tempdir().unwrap();
    let (today, old) = (place.path().join("today"), place.path().join("old"));
    let before = block_on(async {
        let clock = Arc::new(HandClock::new(1_700_000_000_000));
        let mut opening = Opening::new(&today, LIMITS, Durability::Off);
        opening.clock = Arc::<HandClock>::clone(&clock);
        let s = Subject::new(Arc::new(opening.open().unwrap()), clock, Box::new(()));
        let worker = s.join().await;
        for i in 0..20 {
            let run = s.submit(&format!("w{}", i % 3), &[0]).await;
            let claimed = s.claim_one(worker).await;
            let mut commit = step_forward(run, claimed.version);
            commit.ended = vec![end_of(&claimed, worker)];
            commit.events = vec![event(i)];
            commit.outcome = Some(RunOutcome::Succeeded);
            s.recorded(commit).await;
        }
        s.submit("w0", &[0, 1]).await;
        let seen = seen(s.store.as_ref()).await;
        s.store.close().await;
        seen
    });
    assert_eq!((before.runs.len(), before.attempts.len()), (21, 22));
    std::fs::create_dir(&old).unwrap();
    as_it_was(&today.join("staunch.db"), &old.join("staunch.db"));

    block_on(async {
        let store = Opening::new(&old, LIMITS, Durability::Off).open().unwrap();
        assert_eq!(seen(&store).await, before);
        assert_eq!(store.account_usage().await.unwrap(), staunch_store::AccountUsage::default());
        let made = store.create_user(new_user("ada", Role::Admin), actor()).await.unwrap();
        assert!(matches!(made, UserCreated::Created(_)));
        assert!(store.run(RunId::generate()).await.unwrap().is_none());
        store.close().await;
    });
    let file = old.join("staunch.db");
    assert_eq!(one::<i64>(&Connection::open(&file).unwrap(), "PRAGMA user_version"), 2);
    let tables = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let [upgraded, new] =
        [&file, &today.join("staunch.db")].map(|file| texts(&Connection::open(file).unwrap(), tables));
    assert_eq!(upgraded, new, "an old file and a new one are alike");
    // And the copy made before is the old file, whole.
    let copy = Connection::open(old.join("staunch.db.before-2")).unwrap();
    assert_eq!(one::<i64>(&copy, "PRAGMA user_version"), 1);
    assert_eq!(one::<i64>(&copy, "SELECT count(*) FROM run"), 21);

    block_on(async {
        // Opened again, nothing is moved on twice.
        let store = Opening::new(&old, LIMITS, Durability::Off).open().unwrap();
        assert!(store.has_admin().await.unwrap());
        assert_eq!(seen(&store).await, before);
        store.close().await;
    });
    assert_whole(&file);
}
