//! Workers and their leases.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use staunch_flow::StepIndex;

use super::code::Columns;
use super::statement::statements;
use super::turn::{Turn, millis};
use crate::error::StoreError;
use crate::id::{AttemptKey, Incarnation};
use crate::record::Renewal;

statements! {
    ALIVE = "SELECT n FROM worker WHERE id = ?1 AND lease_until > ?2";
    NUMBER = "SELECT n FROM worker WHERE id = ?1";
    JOIN = "INSERT INTO worker (id, lease_until) VALUES (?1, ?2)";
    RENEW = "UPDATE worker SET lease_until = ?3 WHERE id = ?1 AND lease_until > ?2";
    TO_KILL = "SELECT run.id, r.step, r.attempt, r.kill FROM ready r INDEXED BY ready_kill JOIN run ON run.n = r.run
        WHERE r.worker = (SELECT n FROM worker WHERE id = ?1) AND r.kill IS NOT NULL ORDER BY r.due_at, r.run, r.step, r.attempt";
    EXPIRED = "SELECT n FROM worker WHERE lease_until <= ?1 ORDER BY lease_until LIMIT ?2";
    ALL = "SELECT n FROM worker";
    FREE_LOST = "UPDATE ready SET worker = NULL, claimed_at = NULL, losses = losses + 1, due_at = ?2 + CASE
            WHEN kill IS NOT NULL OR losses = 0 THEN 0
            WHEN losses >= 5 THEN 30000
            ELSE 1000 << losses
        END WHERE worker = ?1";
    FREE = "UPDATE ready SET worker = NULL, claimed_at = NULL WHERE worker = ?1";
    REMOVE = "DELETE FROM worker WHERE n = ?1";
}

/// The row of a worker whose lease runs.
pub(super) fn alive(turn: &Turn<'_>, worker: Incarnation) -> Result<Option<i64>, StoreError> {
    let row = turn.sql(ALIVE)?.query_row(params![worker.0.as_bytes(), turn.now.0], |row| row.get(0));
    Ok(row.optional()?)
}

/// See [`crate::Store::join`]. A worker that joins knows of no claims, so a former life of the same name is dead too.
pub(super) fn join(turn: &mut Turn<'_>, worker: Incarnation, ttl: Duration) -> Result<u32, StoreError> {
    let dead = numbers(turn, ALL, [])?;
    let freed = bury(turn, &dead)?;
    let until = turn.now.0.saturating_add(millis(ttl));
    turn.execute(JOIN, params![worker.0.as_bytes(), until])?;
    Ok(freed)
}

/// See [`crate::Store::renew`].
pub(super) fn renew(turn: &mut Turn<'_>, worker: Incarnation, ttl: Duration) -> Result<Renewal, StoreError> {
    let until = turn.now.0.saturating_add(millis(ttl));
    if turn.execute(RENEW, params![worker.0.as_bytes(), turn.now.0, until])? == 0 {
        return Ok(Renewal::Lost);
    }
    let mut statement = turn.sql(TO_KILL)?;
    let rows = statement.query_map([worker.0.as_bytes()], |row| {
        let key = AttemptKey { run: row.run_id(0)?, step: StepIndex(row.get(1)?), attempt: row.get(2)? };
        Ok((key, row.outcome(3)?))
    })?;
    let mut kill = Vec::new();
    for row in rows {
        let (key, because) = row?;
        kill.extend(because.map(|because| (key, because)));
    }
    Ok(Renewal::Held { kill })
}

/// See [`crate::Store::reap`].
pub(super) fn reap(turn: &mut Turn<'_>, max: u32) -> Result<u32, StoreError> {
    let dead = numbers(turn, EXPIRED, params![turn.now.0, max])?;
    bury(turn, &dead)
}

/// See [`crate::Store::leave`].
pub(super) fn leave(turn: &mut Turn<'_>, worker: Incarnation) -> Result<(), StoreError> {
    let row = turn.sql(NUMBER)?.query_row([worker.0.as_bytes()], |row| row.get::<_, i64>(0)).optional()?;
    if let Some(n) = row {
        turn.execute(FREE, [n])?;
        turn.execute(REMOVE, [n])?;
    }
    Ok(())
}

/// Frees what dead workers held, with a loss each. The first loss is tried again at once, later ones wait
/// min(2^(losses-1), 30) seconds: what killed its worker twice may well do it again.
fn bury(turn: &mut Turn<'_>, dead: &[i64]) -> Result<u32, StoreError> {
    let mut freed = 0;
    for n in dead {
        freed += turn.execute(FREE_LOST, params![n, turn.now.0])?;
        turn.execute(REMOVE, [n])?;
    }
    Ok(u32::try_from(freed).unwrap_or(u32::MAX))
}

fn numbers(turn: &Turn<'_>, text: &'static str, values: impl rusqlite::Params) -> Result<Vec<i64>, StoreError> {
    let mut statement = turn.sql(text)?;
    let rows = statement.query_map(values, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
