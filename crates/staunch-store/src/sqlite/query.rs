//! What readers are asked: all of it short, by index, from one state of the database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params};
use serde_json::Value;
use staunch_flow::StepIndex;

use super::code::{self, Columns};
use super::statement::{prepare, statements};
use super::tally::Tally;
use crate::error::StoreError;
use crate::id::{AttemptKey, RunId, Timestamp};
use crate::record::{
    AttemptRow, EventRow, Journal, LogPlace, Page, Results, RunHead, RunQuery, RunRow, RunState, Usage,
};

/// A SELECT of whole run rows by an index of `run`. The index is forced, so that a query that cannot use it fails when it
/// is prepared (in a test) and not slowly (in a year); `CROSS` keeps `run` the outer loop.
macro_rules! run_rows {
    ($index:literal, $filter:literal) => {
        concat!(
            "SELECT run.id, run.workflow, v.sha, i.inputs, run.created_at, run.state, run.outcome, run.origin, run.rerun_of,
                run.cancel_requested, run.started_at, run.ended_at, run.version, run.n
            FROM run INDEXED BY ",
            $index,
            " CROSS JOIN revision v ON v.n = run.revision LEFT JOIN input i ON i.run = run.n WHERE ",
            $filter
        )
    };
}

statements! {
    RUN = run_rows!("run_by_id", "run.id = :id");
    RUNS = run_rows!("run_by_id", "run.id < :before ORDER BY run.id DESC LIMIT :limit");
    RUNS_OVER = run_rows!("run_by_id", "run.id < :before AND run.state = 2 ORDER BY run.id DESC LIMIT :limit");
    RUNS_OPEN = run_rows!("run_open", "run.state < 2 AND run.state = :state AND run.id < :before
        ORDER BY run.id DESC LIMIT :limit");
    RUNS_ENDED_AS = run_rows!("run_by_outcome", "run.outcome = :outcome AND run.id < :before
        ORDER BY run.id DESC LIMIT :limit");
    RUNS_OF = run_rows!("run_by_workflow", "run.workflow = :workflow AND run.id < :before
        ORDER BY run.id DESC LIMIT :limit");
    RUNS_OF_OVER = run_rows!("run_by_workflow", "run.workflow = :workflow AND run.id < :before AND run.state = 2
        ORDER BY run.id DESC LIMIT :limit");
    RUNS_OF_OPEN = run_rows!("run_open", "run.state < 2 AND run.state = :state AND run.id < :before
        AND run.workflow = :workflow ORDER BY run.id DESC LIMIT :limit");
    RUNS_OF_ENDED_AS = run_rows!("run_by_workflow_outcome", "run.workflow = :workflow AND run.outcome = :outcome
        AND run.id < :before ORDER BY run.id DESC LIMIT :limit");
    NUMBER = "SELECT n FROM run WHERE id = ?1";
    PLAN = "SELECT plan FROM event WHERE run = ?1 AND plan IS NOT NULL ORDER BY seq";
    HOLDERS = "SELECT r.step, r.attempt, w.id FROM ready r LEFT JOIN worker w ON w.n = r.worker
        WHERE r.run = ?1 ORDER BY r.step, r.attempt";
    OVER = "SELECT step, attempt, epoch, losses, outcome, started_at, ended_at, duration_us, log_kind, log_bytes,
        octet_length(result) FROM attempt WHERE run = ?1 ORDER BY step, attempt";
    RESULT = "SELECT result FROM attempt WHERE run = ?1 AND step = ?2 AND attempt = ?3";
    RESULT_WITHOUT_OUTPUT = "SELECT json_set(result, '$.stdout', '', '$.stderr', '',
        '$.stdout_truncated', json(iif(result ->> '$.stdout' = '', result -> '$.stdout_truncated', 'true')),
        '$.stderr_truncated', json(iif(result ->> '$.stderr' = '', result -> '$.stderr_truncated', 'true')))
        FROM attempt WHERE run = ?1 AND step = ?2 AND attempt = ?3";
    IN_FLIGHT = "SELECT step, attempt, epoch, losses, claimed_at, CASE WHEN worker IS NULL THEN due_at END
        FROM ready WHERE run = ?1";
    INLINE_LOG = "SELECT log FROM attempt WHERE run = (SELECT n FROM run WHERE id = ?1) AND step = ?2 AND attempt = ?3
        AND log_kind = 1";
    EVENTS = "SELECT seq, at, name, body FROM event WHERE run = (SELECT n FROM run WHERE id = ?1) AND seq > ?2
        ORDER BY seq LIMIT ?3";
    PAGES = "PRAGMA page_count";
    PAGE_BYTES = "PRAGMA page_size";
}

/// Runs on a page, at most.
const PAGE_MAX: u32 = 200;
/// Above every id.
const NEWEST: [u8; 17] = [0xFF; 17];

/// See [`crate::Store::run`].
pub(super) fn run(connection: &Connection, id: RunId) -> Result<Option<RunRow>, StoreError> {
    let row = prepare(connection, RUN)?.query_row(named_params! { ":id": id.0.as_bytes() }, run_row);
    Ok(row.optional()?)
}

/// See [`crate::Store::runs`].
pub(super) fn runs(connection: &Connection, query: &RunQuery) -> Result<Page<RunRow>, StoreError> {
    let limit = query.limit.min(PAGE_MAX);
    let before = query.before.map_or(NEWEST.to_vec(), |id| id.0.as_bytes().to_vec());
    // One more than the page holds tells whether there is more.
    let fetched = limit + 1;
    let mut values: Vec<(&str, &dyn ToSql)> = vec![(":before", &before), (":limit", &fetched)];
    let workflow = query.workflow.as_ref();
    let outcome = query.outcome.map(code::run_outcome);
    let state = query.state.map(code::state);
    if let Some(workflow) = &workflow {
        values.push((":workflow", workflow));
    }
    let text = match (&outcome, query.state) {
        // What is not over has no outcome.
        (Some(_), Some(RunState::Queued | RunState::Running)) => return Ok(Page { items: Vec::new(), more: false }),
        (Some(outcome), _) => {
            values.push((":outcome", outcome));
            if workflow.is_some() { RUNS_OF_ENDED_AS } else { RUNS_ENDED_AS }
        }
        (None, Some(RunState::Queued | RunState::Running)) => {
            values.push((":state", &state));
            if workflow.is_some() { RUNS_OF_OPEN } else { RUNS_OPEN }
        }
        // Few runs are not over (there is a limit on them), so that passing over those is cheap.
        (None, Some(RunState::Ended)) => {
            if workflow.is_some() {
                RUNS_OF_OVER
            } else {
                RUNS_OVER
            }
        }
        (None, None) => {
            if workflow.is_some() {
                RUNS_OF
            } else {
                RUNS
            }
        }
    };
    let mut statement = prepare(connection, text)?;
    let rows = statement.query_map(values.as_slice(), run_row)?;
    let mut items: Vec<RunRow> = rows.collect::<Result<_, _>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    Ok(Page { items, more })
}

/// See [`crate::Store::journal`].
pub(super) fn journal(connection: &Connection, id: RunId) -> Result<Option<Journal>, StoreError> {
    let row = prepare(connection, RUN)?
        .query_row(named_params! { ":id": id.0.as_bytes() }, |row| Ok((run_row(row)?, row.count(12)?, row.get(13)?)));
    let Some((run, version, n)) = row.optional()? else { return Ok(None) };
    let n: i64 = n;
    let mut plan = prepare(connection, PLAN)?;
    let events = plan.query_map([n], |row| row.json(0))?.collect::<Result<_, _>>()?;
    let mut holders = prepare(connection, HOLDERS)?;
    let in_flight = holders.query_map([n], |row| Ok((key(id, row)?, row.worker(2)?)))?.collect::<Result<_, _>>()?;
    Ok(Some(Journal { head: run.head, version, events, started_at: run.started_at, outcome: run.outcome, in_flight }))
}

/// See [`crate::Store::attempts`].
pub(super) fn attempts(connection: &Connection, id: RunId, results: Results) -> Result<Vec<AttemptRow>, StoreError> {
    let n = prepare(connection, NUMBER)?.query_row([id.0.as_bytes()], |row| row.get::<_, i64>(0)).optional()?;
    let Some(n) = n else { return Ok(Vec::new()) };
    let mut over = prepare(connection, OVER)?;
    let mut all = Vec::new();
    let mut wanted = Wanted { connection, n, left: results };
    for row in over.query_map([n], |row| Ok((ended(id, row)?, row.count(10)?)))? {
        let (mut attempt, bytes) = row?;
        attempt.result = wanted.result(attempt.key, bytes)?;
        all.push(attempt);
    }
    let mut in_flight = prepare(connection, IN_FLIGHT)?;
    for row in in_flight.query_map([n], |row| waiting_or_held(id, row))? {
        all.push(row?);
    }
    all.sort_by_key(|row| (row.key.step, row.key.attempt));
    Ok(all)
}

/// What is still wanted of a run's results.
struct Wanted<'a> {
    connection: &'a Connection,
    n: i64,
    left: Results,
}

impl Wanted<'_> {
    /// The result of an attempt, of so many bytes, or what is wanted of it.
    fn result(&mut self, key: AttemptKey, bytes: u64) -> Result<Option<Value>, StoreError> {
        let Results::UpTo { bytes: left } = &mut self.left else { return Ok(None) };
        let statement = match left.checked_sub(bytes) {
            Some(rest) => {
                *left = rest;
                RESULT
            }
            None => {
                // From here on none is whole, so that what is cut does not depend on the size of what follows.
                *left = 0;
                RESULT_WITHOUT_OUTPUT
            }
        };
        let which = params![self.n, key.step.0, key.attempt];
        Ok(prepare(self.connection, statement)?.query_row(which, |row| row.json(0).map(Some))?)
    }
}

/// See [`crate::Store::inline_log`].
pub(super) fn inline_log(connection: &Connection, attempt: AttemptKey) -> Result<Option<Vec<u8>>, StoreError> {
    let which = params![attempt.run.0.as_bytes(), attempt.step.0, attempt.attempt];
    Ok(prepare(connection, INLINE_LOG)?.query_row(which, |row| row.get(0)).optional()?)
}

/// See [`crate::Store::events`].
pub(super) fn events(connection: &Connection, run: RunId, after: u64, max: u32) -> Result<Vec<EventRow>, StoreError> {
    let after = super::turn::signed(after);
    let mut statement = prepare(connection, EVENTS)?;
    let rows = statement.query_map(params![run.0.as_bytes(), after, max], |row| {
        Ok(EventRow { seq: row.count(0)?, at: Timestamp(row.get(1)?), name: row.get(2)?, body: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The part of [`crate::Store::usage`] that stands in the database.
pub(super) fn usage(connection: &Connection) -> Result<Usage, StoreError> {
    let tally = Tally::load(connection)?;
    let pages = prepare(connection, PAGES)?.query_row([], |row| row.count(0))?;
    let page_bytes = prepare(connection, PAGE_BYTES)?.query_row([], |row| row.count(0))?;
    let runs = [("queued", tally.queued), ("running", tally.running), ("ended", tally.ended)];
    Ok(Usage {
        runs: BTreeMap::from(runs.map(|(word, runs)| (word.to_owned(), runs.unsigned_abs()))),
        attempts_in_flight: tally.in_flight.unsigned_abs(),
        database_bytes: pages * page_bytes,
        log_bytes: tally.log_bytes.unsigned_abs(),
        ..Usage::default()
    })
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let none = row.get_ref(3)? == rusqlite::types::ValueRef::Null;
    let head = RunHead {
        id: row.run_id(0)?,
        workflow: row.get(1)?,
        revision: row.revision(2)?,
        inputs: if none { staunch_flow::Inputs::new() } else { row.json(3)? },
        created_at: Timestamp(row.get(4)?),
    };
    let rerun_of = row.get::<_, Option<[u8; 16]>>(8)?;
    Ok(RunRow {
        head: Arc::new(head),
        state: row.state(5)?,
        outcome: row.run_outcome(6)?,
        trigger: row.get(7)?,
        rerun_of: rerun_of.map(|bytes| RunId(uuid::Uuid::from_bytes(bytes))),
        cancel_requested: row.get(9)?,
        started_at: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        ended_at: row.get::<_, Option<i64>>(11)?.map(Timestamp),
    })
}

fn key(run: RunId, row: &Row<'_>) -> rusqlite::Result<AttemptKey> {
    Ok(AttemptKey { run, step: StepIndex(row.get(0)?), attempt: row.get(1)? })
}

fn ended(run: RunId, row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    let log = match row.get::<_, i64>(8)? {
        0 => LogPlace::Nowhere,
        1 => LogPlace::Inline(Vec::new()),
        _ => LogPlace::File { bytes: row.count(9)? },
    };
    Ok(AttemptRow {
        key: key(run, row)?,
        epoch: row.get(2)?,
        losses: row.get(3)?,
        outcome: row.outcome(4)?,
        started_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        ended_at: Some(Timestamp(row.get(6)?)),
        duration: Some(Duration::from_micros(row.count(7)?)),
        due_at: None,
        result: None,
        log,
    })
}

fn waiting_or_held(run: RunId, row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        key: key(run, row)?,
        epoch: row.get(2)?,
        losses: row.get(3)?,
        outcome: None,
        started_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        ended_at: None,
        duration: None,
        due_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        result: None,
        log: LogPlace::Nowhere,
    })
}
