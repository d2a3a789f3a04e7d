//! Accepting a run.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::claim;
use super::code::{Columns, QUEUED};
use super::open_run::{OpenRun, json};
use super::statement::statements;
use super::turn::{Turn, signed};
use crate::error::StoreError;
use crate::id::RunId;
use crate::record::{IdempotencyKey, NewRun, Submitted};

statements! {
    KEY = "SELECT asked, run, expires_at FROM idempotency WHERE key = ?1";
    REMEMBER_KEY = "INSERT INTO idempotency (key, asked, run, expires_at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (key) DO UPDATE SET asked = excluded.asked, run = excluded.run, expires_at = excluded.expires_at";
    REVISION = "SELECT n FROM revision WHERE sha = ?1";
    ACCEPT = "INSERT INTO run (id, workflow, revision, origin, rerun_of, state, version, last_event, journal, bytes,
        log_bytes, cancel_requested, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, 0, 0, 0, 0, 0, ?7)";
    INPUTS = "INSERT INTO input (run, inputs) VALUES (?1, ?2)";
}

/// Bytes of a run's rows besides its texts and events, roughly.
const RUN_BYTES: usize = 256;
/// Bytes of an idempotency key.
const KEY_BYTES_MAX: usize = 255;
/// Idempotency keys remembered at once; the table's bound, about 150 MB.
const KEYS_MAX: i64 = 1_000_000;
/// When to come back if there are too many open runs.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// See [`crate::Store::submit`].
pub(super) fn submit(turn: &mut Turn<'_>, run: NewRun, key: Option<IdempotencyKey>) -> Result<Submitted, StoreError> {
    if let Some(key) = &key
        && let Some(run) = replay(turn, key)?
    {
        return Ok(Submitted { run, replayed: true });
    }
    admit(turn, &run)?;
    let id = run.id;
    if let Some(key) = key {
        remember(turn, &key, id)?;
    }
    accept(turn, run)?;
    Ok(Submitted { run: id, replayed: false })
}

/// The run that a key stands for, if it was seen and has not expired.
fn replay(turn: &Turn<'_>, key: &IdempotencyKey) -> Result<Option<RunId>, StoreError> {
    if key.key.len() > KEY_BYTES_MAX {
        return Err(StoreError::Failed(format!("an idempotency key has at most {KEY_BYTES_MAX} bytes")));
    }
    let seen = turn
        .sql(KEY)?
        .query_row([&key.key], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.run_id(1)?, row.get::<_, i64>(2)?)));
    match seen.optional()? {
        Some((asked, run, expires_at)) if expires_at > turn.now.0 => {
            if asked == key.asked {
                Ok(Some(run))
            } else {
                Err(StoreError::KeyReused)
            }
        }
        _ => Ok(None),
    }
}

fn remember(turn: &mut Turn<'_>, key: &IdempotencyKey, run: RunId) -> Result<(), StoreError> {
    // An expired row of the same key that the sweep has not reached yet is replaced, not added to.
    let replaced = turn.sql(KEY)?.exists([&key.key])?;
    if !replaced {
        if turn.tally.keys >= KEYS_MAX {
            let limit = KEYS_MAX.unsigned_abs();
            return Err(StoreError::Full { what: "the table of idempotency keys", limit, retry_after: RETRY_AFTER });
        }
        turn.tally.keys += 1;
    }
    let seconds = signed(turn.ground.limits.idempotency_seconds);
    let expires_at = turn.now.0.saturating_add(seconds.saturating_mul(1_000));
    turn.execute(REMEMBER_KEY, params![key.key, key.asked, run.0.as_bytes(), expires_at])?;
    Ok(())
}

/// Whether there is room for one more, and sense in it.
fn admit(turn: &Turn<'_>, run: &NewRun) -> Result<(), StoreError> {
    turn.ground.directory.is_there()?;
    turn.ground.directory.above_floor()?;
    let limit = turn.ground.limits.runs_open_max;
    if run.outcome.is_none() && turn.tally.open() >= signed(limit) {
        return Err(StoreError::Full { what: "runs", limit, retry_after: RETRY_AFTER });
    }
    if run.outcome.is_some() != run.ready.is_empty() {
        return Err(StoreError::Failed(
            "a run has attempts to start when it is accepted, or an outcome, and not both".to_owned(),
        ));
    }
    Ok(())
}

fn accept(turn: &mut Turn<'_>, run: NewRun) -> Result<(), StoreError> {
    let revision = turn.sql(REVISION)?.query_row([&run.revision.0], |row| row.get::<_, i64>(0)).optional()?;
    let revision = revision
        .ok_or_else(|| StoreError::Failed(format!("revision {} is not remembered: publish it first", run.revision)))?;
    let rerun_of = run.rerun_of.map(|id| id.0.into_bytes());
    turn.execute(
        ACCEPT,
        params![run.id.0.as_bytes(), run.workflow, revision, run.trigger, rerun_of, QUEUED, turn.now.0],
    )?;
    let n = turn.connection.last_insert_rowid();
    turn.tally.queued += 1;
    let mut bytes = RUN_BYTES + run.workflow.len() + run.trigger.len();
    if !run.inputs.is_empty() {
        let inputs = json(&run.inputs)?;
        bytes += inputs.len();
        turn.execute(INPUTS, params![n, inputs])?;
    }
    let mut open = OpenRun::accepted(n, run.id, run.workflow, revision, turn.now);
    open.bytes = signed(bytes as u64);
    for event in &run.events {
        open.tell(turn, event)?;
    }
    for attempt in &run.ready {
        claim::make_ready(turn, n, attempt, None)?;
    }
    match run.outcome {
        Some(outcome) => open.end(turn, outcome),
        None => open.store(turn),
    }
}
