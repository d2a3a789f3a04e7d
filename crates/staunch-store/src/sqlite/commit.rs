//! One guarded step forward of a run.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::claim;
use super::code;
use super::open_run::{OpenRun, json};
use super::statement::statements;
use super::turn::{Turn, signed};
use super::worker;
use crate::error::StoreError;
use crate::record::{AttemptEnd, Commit, Committed, LogPlace, NewAttempt};

statements! {
    HELD = "SELECT r.losses, r.claimed_at FROM ready r JOIN worker w ON w.n = r.worker
        WHERE r.run = ?1 AND r.step = ?2 AND r.attempt = ?3 AND r.epoch = ?4 AND w.id = ?5 AND w.lease_until > ?6";
    TAKE_OUT = "DELETE FROM ready WHERE run = ?1 AND step = ?2 AND attempt = ?3";
    RECORD = "INSERT INTO attempt (run, step, attempt, epoch, losses, outcome, started_at, ended_at, duration_us, log_kind,
        log_bytes, result, log) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    KILL = "UPDATE ready SET kill = ?4, due_at = CASE WHEN worker IS NULL THEN ?5 ELSE due_at END
        WHERE run = ?1 AND step = ?2 AND attempt = ?3";
}

/// Bytes of an attempt's row besides its texts and log.
const ATTEMPT_BYTES: usize = 64;

/// A row in flight that is about to end.
struct Held {
    losses: u32,
    claimed_at: Option<i64>,
}

/// See [`crate::Store::commit`].
pub(super) fn commit(turn: &mut Turn<'_>, commit: &Commit) -> Result<Committed, StoreError> {
    let run = OpenRun::by_id(turn, commit.run)?;
    let mut held = Vec::with_capacity(commit.ended.len());
    // Who lost its claim hears that first, whatever else is wrong: it must drop its result, not try again.
    for end in &commit.ended {
        let found = match &run {
            Some(run) if end.key.run == commit.run => holds(turn, run.n, end)?,
            _ => None,
        };
        let Some(found) = found else {
            turn.ground.counts.stale();
            tracing::info!(run = %end.key.run, step = end.key.step.0, attempt = end.key.attempt, epoch = end.epoch, "stale result dropped");
            return Ok(Committed::Stale { attempt: end.key });
        };
        held.push(found);
    }
    let Some(mut run) = run.filter(|run| !run.is_over() && run.version == signed(commit.version)) else {
        return Ok(Committed::Conflict);
    };
    within_bounds(turn, &run, commit)?;

    run.version += 1;
    for (end, held) in commit.ended.iter().zip(&held) {
        record(turn, &mut run, end, held)?;
    }
    for event in &commit.events {
        run.tell(turn, event)?;
    }
    let claims = make_ready(turn, &run, commit)?;
    for (step, attempt, because) in &commit.kill {
        // An attempt that is not in flight needs no killing.
        turn.execute(KILL, params![run.n, step.0, attempt, code::outcome(*because), turn.now.0])?;
    }
    let mut claimed = Vec::with_capacity(claims.len());
    match commit.outcome {
        Some(outcome) => run.end(turn, outcome)?,
        None => {
            for new in claims {
                claimed.push(claim::claimed_at_once(turn, &mut run, new)?);
            }
            run.store(turn)?;
        }
    }
    let version = run.version.unsigned_abs();
    Ok(Committed::Recorded { version, last_event: run.last_event.unsigned_abs(), claimed })
}

fn holds(turn: &Turn<'_>, run: i64, end: &AttemptEnd) -> Result<Option<Held>, StoreError> {
    let guard = params![run, end.key.step.0, end.key.attempt, end.epoch, end.worker.0.as_bytes(), turn.now.0];
    let row = turn.sql(HELD)?.query_row(guard, |row| Ok(Held { losses: row.get(0)?, claimed_at: row.get(1)? }));
    Ok(row.optional()?)
}

/// A run that tells without end is stopped by its caller, who may still end it.
fn within_bounds(turn: &Turn<'_>, run: &OpenRun, commit: &Commit) -> Result<(), StoreError> {
    let limit = turn.ground.limits.events_per_run_max;
    let events = run.last_event + commit.events.len() as i64;
    if commit.outcome.is_none() && events > signed(limit) {
        return Err(StoreError::Full { what: "the events of a run", limit, retry_after: Duration::MAX });
    }
    if commit.outcome.is_some() && !commit.ready.is_empty() {
        return Err(StoreError::Failed("a run that is over has no attempts to start".to_owned()));
    }
    Ok(())
}

/// Moves an attempt from those in flight to those that are over.
fn record(turn: &mut Turn<'_>, run: &mut OpenRun, end: &AttemptEnd, held: &Held) -> Result<(), StoreError> {
    if turn.execute(TAKE_OUT, params![run.n, end.key.step.0, end.key.attempt])? != 1 {
        return Err(StoreError::Failed("an attempt ended twice in one commit".to_owned()));
    }
    turn.tally.in_flight -= 1;
    let result = json(&end.result)?;
    let log_bytes = end.log.bytes();
    let (kind, log) = match &end.log {
        LogPlace::Nowhere => (0, None),
        LogPlace::Inline(bytes) => (1, Some(bytes.as_slice())),
        LogPlace::File { .. } => (2, None),
    };
    run.bytes += signed((ATTEMPT_BYTES + result.len()) as u64).saturating_add(signed(log_bytes));
    if kind == 2 {
        run.log_bytes += signed(log_bytes);
    }
    turn.execute(
        RECORD,
        params![
            run.n,
            end.key.step.0,
            end.key.attempt,
            end.epoch,
            held.losses,
            code::outcome(end.outcome),
            held.claimed_at,
            turn.now.0,
            i64::try_from(end.duration.as_micros()).unwrap_or(i64::MAX),
            kind,
            signed(log_bytes),
            result,
            log
        ],
    )?;
    Ok(())
}

/// Puts the next attempts in flight; those that were claimed at once.
fn make_ready<'c>(turn: &mut Turn<'_>, run: &OpenRun, commit: &'c Commit) -> Result<Vec<&'c NewAttempt>, StoreError> {
    let mut claims = Vec::new();
    let mut known = None;
    for new in &commit.ready {
        let killed = commit.kill.iter().any(|(step, attempt, _)| (*step, *attempt) == (new.step, new.attempt));
        let worker = match new.claim_for.filter(|_| new.delay.is_zero() && !killed) {
            None => None,
            Some(who) => match known {
                Some((id, row)) if id == who => row,
                _ => known.insert((who, worker::alive(turn, who)?)).1,
            },
        };
        claim::make_ready(turn, run.n, new, worker)?;
        if worker.is_some() {
            claims.push(new);
        }
    }
    Ok(claims)
}
