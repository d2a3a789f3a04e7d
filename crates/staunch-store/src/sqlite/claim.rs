//! Claiming attempts that are due.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::params;
use staunch_flow::{Outcome, StepIndex};

use super::code::Columns;
use super::open_run::OpenRun;
use super::statement::statements;
use super::turn::{Turn, millis};
use super::worker;
use crate::error::StoreError;
use crate::id::AttemptKey;
use crate::record::{ClaimRequest, Claimed, Claims, NewAttempt};

statements! {
    TO_KILL = "SELECT run, step, attempt, epoch, losses, kill FROM ready INDEXED BY ready_kill
        WHERE worker IS NULL AND kill IS NOT NULL ORDER BY due_at, run, step, attempt LIMIT ?1";
    DUE = "SELECT run, step, attempt, epoch, losses, kill FROM ready INDEXED BY ready_due
        WHERE worker IS NULL AND kill IS NULL AND due_at <= ?2 ORDER BY due_at, run, step, attempt LIMIT ?1";
    NEXT_DUE = "SELECT min(due_at) FROM ready INDEXED BY ready_due WHERE worker IS NULL AND kill IS NULL AND due_at > ?1";
    DUE_BEGUN = "SELECT ready.run, step, attempt, epoch, losses, kill FROM run INDEXED BY run_open CROSS JOIN ready ON ready.run = run.n
        WHERE run.state = 1 AND run.state < 2 AND worker IS NULL AND kill IS NULL AND due_at <= ?2 LIMIT ?1";
    NEXT_DUE_BEGUN = "SELECT min(due_at) FROM run INDEXED BY run_open CROSS JOIN ready ON ready.run = run.n
        WHERE run.state = 1 AND run.state < 2 AND worker IS NULL AND kill IS NULL AND due_at > ?1";
    TAKE = "UPDATE ready SET worker = ?4, claimed_at = ?5, epoch = ?6 WHERE run = ?1 AND step = ?2 AND attempt = ?3";
    OVER = "SELECT 1 FROM attempt WHERE run = ?1 AND step = ?2 AND attempt = ?3";
    MAKE_READY = "INSERT INTO ready (run, step, attempt, due_at, worker, claimed_at, epoch, losses)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)";
}

/// Attempts one claim can bring, whatever the caller asks for.
const CLAIM_MAX: u32 = 4_096;

/// Whose attempts are claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Any run's.
    Any,
    /// Those of runs that have begun. There are never many such, however many are queued: the plan starts from them.
    Begun,
}

/// An unclaimed attempt.
struct Waiting {
    run: i64,
    step: u32,
    attempt: u32,
    epoch: u32,
    losses: u32,
    kill: Option<Outcome>,
}

/// See [`crate::Store::claim`] and [`crate::Store::claim_begun`].
pub(super) fn claim(turn: &mut Turn<'_>, request: ClaimRequest, which: Which) -> Result<Claims, StoreError> {
    let (due, next_due) = match which {
        Which::Any => (DUE, NEXT_DUE),
        Which::Begun => (DUE_BEGUN, NEXT_DUE_BEGUN),
    };
    let Some(worker) = worker::alive(turn, request.worker)? else { return Ok(Claims::default()) };
    let kills_max = request.kills_max.min(CLAIM_MAX);
    let slots = request.slots.min(CLAIM_MAX);
    // One more than is taken tells whether there are more.
    let mut waiting = select(turn, TO_KILL, params![kills_max + 1])?;
    let mut more = waiting.len() > kills_max as usize;
    waiting.truncate(kills_max as usize);
    let mut due = select(turn, due, params![slots + 1, turn.now.0])?;
    more |= due.len() > slots as usize;
    due.truncate(slots as usize);
    waiting.append(&mut due);

    let mut claimed = Vec::with_capacity(waiting.len());
    let mut runs = BTreeMap::new();
    for attempt in waiting {
        let run = match runs.entry(attempt.run) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => place.insert(OpenRun::by_number(turn, attempt.run)?),
        };
        turn.execute(TAKE, params![attempt.run, attempt.step, attempt.attempt, worker, turn.now.0, attempt.epoch + 1])?;
        claimed.push(hand_out(turn, run, &attempt)?);
    }
    for run in runs.values() {
        run.store(turn)?;
    }
    let next: Option<i64> = turn.sql(next_due)?.query_row([turn.now.0], |row| row.get(0))?;
    let next_due = next.map(|at| Duration::from_millis(at.saturating_sub(turn.now.0).unsigned_abs()));
    Ok(Claims { claimed, next_due, more })
}

/// Puts an attempt among those in flight; claimed for a worker (its row's number) if there is one.
pub(super) fn make_ready(
    turn: &mut Turn<'_>,
    run: i64,
    new: &NewAttempt,
    worker: Option<i64>,
) -> Result<(), StoreError> {
    if turn.sql(OVER)?.exists(params![run, new.step.0, new.attempt])? {
        let (step, attempt) = (new.step.0, new.attempt);
        return Err(StoreError::Failed(format!("attempt {attempt} of step {step} is over and cannot be ready again")));
    }
    let due_at = turn.now.0.saturating_add(millis(new.delay));
    let claimed_at = worker.map(|_| turn.now.0);
    let epoch = u32::from(worker.is_some());
    turn.execute(MAKE_READY, params![run, new.step.0, new.attempt, due_at, worker, claimed_at, epoch])?;
    turn.tally.in_flight += 1;
    Ok(())
}

/// What the worker hears of an attempt that [`make_ready`] claimed for it.
pub(super) fn claimed_at_once(turn: &Turn<'_>, run: &mut OpenRun, new: &NewAttempt) -> Result<Claimed, StoreError> {
    let (step, attempt) = (new.step.0, new.attempt);
    hand_out(turn, run, &Waiting { run: run.n, step, attempt, epoch: 0, losses: 0, kill: None })
}

/// Tells of a claim and says what the worker must know.
fn hand_out(turn: &Turn<'_>, run: &mut OpenRun, attempt: &Waiting) -> Result<Claimed, StoreError> {
    let epoch = attempt.epoch + 1;
    let Waiting { step, attempt: number, losses, kill, .. } = *attempt;
    if kill.is_none() {
        run.start(turn)?;
        let body = format!(r#"{{"step":{step},"attempt":{number},"epoch":{epoch}}}"#);
        run.tell_text(turn, "step.started", &body, None)?;
    }
    Ok(Claimed {
        key: AttemptKey { run: run.id, step: StepIndex(step), attempt: number },
        epoch,
        losses,
        kill,
        run: run.head(turn)?,
        version: run.version.unsigned_abs(),
        fresh: run.journal == 0,
    })
}

fn select(turn: &Turn<'_>, text: &'static str, values: impl rusqlite::Params) -> Result<Vec<Waiting>, StoreError> {
    let mut statement = turn.sql(text)?;
    let rows = statement.query_map(values, |row| {
        Ok(Waiting {
            run: row.get(0)?,
            step: row.get(1)?,
            attempt: row.get(2)?,
            epoch: row.get(3)?,
            losses: row.get(4)?,
            kill: row.outcome(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
