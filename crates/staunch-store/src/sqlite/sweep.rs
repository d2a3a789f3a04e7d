//! Removing what retention does not keep, a bounded bite at a time.

use rusqlite::{OptionalExtension, Row, params};

use super::code::Columns;
use super::statement::statements;
use super::turn::{Turn, millis, signed};
use crate::error::StoreError;
use crate::id::RunId;
use crate::record::{Retention, Swept};

statements! {
    OLDEST = "SELECT n, id, workflow, bytes, log_bytes, last_event, ended_at FROM run INDEXED BY run_by_age
        WHERE ended_at IS NOT NULL AND (ended_at, n) > (?1, ?2) ORDER BY ended_at, n LIMIT 1";
    OLDEST_OF = "SELECT n, id, workflow, bytes, log_bytes, last_event, ended_at FROM run INDEXED BY run_by_workflow
        WHERE workflow = ?1 AND state = 2 ORDER BY id LIMIT 1";
    EXCESS = "SELECT workflow FROM kept WHERE workflow > ?1 AND ended > ?2 ORDER BY workflow LIMIT 1";
    KEPT = "SELECT ended FROM kept WHERE workflow = ?1";
    REMOVE = "DELETE FROM run WHERE n = ?1";
    KEEP_LESS = "UPDATE kept SET ended = ended - 1 WHERE workflow = ?1";
    KEEP_NONE = "DELETE FROM kept WHERE workflow = ?1 AND ended = 0";
    EXPIRE_KEYS = "DELETE FROM idempotency WHERE key IN
        (SELECT key FROM idempotency WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    UNUSED_REVISIONS = "DELETE FROM revision WHERE n IN (SELECT v.n FROM revision v
        WHERE NOT EXISTS (SELECT 1 FROM run WHERE revision = v.n)
        AND NOT EXISTS (SELECT 1 FROM workflow WHERE revision = v.n) LIMIT ?1)";
    FREE_PAGES = "PRAGMA freelist_count";
    VACUUM = "PRAGMA incremental_vacuum(1000)";
}

/// Rows of events one sweep removes, about: the writer has others to serve.
const ROWS_MAX: i64 = 20_000;
/// Idempotency keys one sweep removes.
const KEYS_MAX: i64 = 1_000;
/// Revisions one sweep removes: each may have a megabyte.
const REVISIONS_MAX: i64 = 64;
/// Pages one sweep gives back to the file system; the number also stands in [`VACUUM`].
const PAGES_MAX: i64 = 1_000;

/// A sweep under way.
struct Sweep<'t, 'a> {
    turn: &'t mut Turn<'a>,
    swept: Swept,
    runs_left: u32,
    rows_left: i64,
}

/// A run that may go.
struct Candidate {
    n: i64,
    id: RunId,
    workflow: String,
    bytes: i64,
    log_bytes: i64,
    events: i64,
    ended_at: i64,
}

/// See [`crate::Store::sweep`].
pub(super) fn sweep(turn: &mut Turn<'_>, retention: &Retention, max: u32) -> Result<Swept, StoreError> {
    let mut sweep = Sweep { turn, swept: Swept::default(), runs_left: max, rows_left: ROWS_MAX };
    // Each stops early, with `more` set, when the bite is taken.
    sweep.old_ones(retention)?;
    sweep.too_many_of_one(retention)?;
    sweep.too_many_bytes(retention)?;
    sweep.what_expired()?;
    sweep.give_back_pages()?;
    Ok(sweep.swept)
}

impl Sweep<'_, '_> {
    fn old_ones(&mut self, retention: &Retention) -> Result<(), StoreError> {
        let Some(age_max) = retention.age_max else { return Ok(()) };
        let before = self.turn.now.0.saturating_sub(millis(age_max));
        self.oldest_first(retention, |_, candidate| candidate.ended_at < before)
    }

    fn too_many_bytes(&mut self, retention: &Retention) -> Result<(), StoreError> {
        let Some(bytes_max) = retention.bytes_max.map(signed) else { return Ok(()) };
        self.oldest_first(retention, |turn, _| turn.tally.bytes > bytes_max)
    }

    fn too_many_of_one(&mut self, retention: &Retention) -> Result<(), StoreError> {
        let Some(most) = retention.runs_per_workflow_max else { return Ok(()) };
        let most = signed(most.max(retention.runs_per_workflow_min));
        let mut after = String::new();
        while let Some(workflow) = self.workflow_with_more_than(most, &after)? {
            while self.kept(&workflow)? > most {
                let oldest = self.turn.sql(OLDEST_OF)?.query_row([&workflow], Candidate::from_row)?;
                if !self.remove(&oldest)? {
                    return Ok(());
                }
            }
            after = workflow;
        }
        Ok(())
    }

    /// Removes runs by the time of their end while `goes` says so, except the newest few of each workflow.
    fn oldest_first(
        &mut self,
        retention: &Retention,
        goes: impl Fn(&Turn<'_>, &Candidate) -> bool,
    ) -> Result<(), StoreError> {
        let least = signed(retention.runs_per_workflow_min);
        let mut after = (i64::MIN, i64::MIN);
        while let Some(candidate) = self.oldest_after(after)? {
            if !goes(self.turn, &candidate) {
                return Ok(());
            }
            after = (candidate.ended_at, candidate.n);
            // Oldest first, so those that stay when few are left are the newest.
            if self.kept(&candidate.workflow)? > least && !self.remove(&candidate)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn oldest_after(&self, (ended_at, n): (i64, i64)) -> Result<Option<Candidate>, StoreError> {
        Ok(self.turn.sql(OLDEST)?.query_row([ended_at, n], Candidate::from_row).optional()?)
    }

    fn workflow_with_more_than(&self, most: i64, after: &str) -> Result<Option<String>, StoreError> {
        Ok(self.turn.sql(EXCESS)?.query_row(params![after, most], |row| row.get(0)).optional()?)
    }

    fn kept(&self, workflow: &str) -> Result<i64, StoreError> {
        Ok(self.turn.sql(KEPT)?.query_row([workflow], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Removes a run with all that is its own; false if this sweep has had enough.
    fn remove(&mut self, run: &Candidate) -> Result<bool, StoreError> {
        if self.runs_left == 0 || self.rows_left <= 0 {
            self.swept.more = true;
            return Ok(false);
        }
        self.turn.execute(REMOVE, [run.n])?;
        self.turn.execute(KEEP_LESS, [&run.workflow])?;
        self.turn.execute(KEEP_NONE, [&run.workflow])?;
        self.turn.tally.ended -= 1;
        self.turn.tally.bytes -= run.bytes;
        self.turn.tally.log_bytes -= run.log_bytes;
        self.runs_left -= 1;
        self.rows_left -= run.events + 1;
        self.swept.runs.push(run.id);
        Ok(true)
    }

    fn what_expired(&mut self) -> Result<(), StoreError> {
        let keys = self.turn.execute(EXPIRE_KEYS, [self.turn.now.0, KEYS_MAX])?;
        self.turn.tally.keys -= keys;
        self.swept.keys = keys.unsigned_abs();
        let revisions = self.turn.execute(UNUSED_REVISIONS, [REVISIONS_MAX])?;
        self.swept.revisions = revisions.unsigned_abs();
        self.swept.more |= keys == KEYS_MAX || revisions == REVISIONS_MAX;
        Ok(())
    }

    fn give_back_pages(&mut self) -> Result<(), StoreError> {
        let free: i64 = self.turn.sql(FREE_PAGES)?.query_row([], |row| row.get(0))?;
        if free > 0 {
            let mut statement = self.turn.sql(VACUUM)?;
            let mut rows = statement.query([])?;
            // One page a step: a vacuum that is not stepped to its end stops in the middle.
            while rows.next()?.is_some() {}
        }
        self.swept.more |= free > PAGES_MAX;
        Ok(())
    }
}

impl Candidate {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            n: row.get(0)?,
            id: row.run_id(1)?,
            workflow: row.get(2)?,
            bytes: row.get(3)?,
            log_bytes: row.get(4)?,
            events: row.get(5)?,
            ended_at: row.get(6)?,
        })
    }
}
