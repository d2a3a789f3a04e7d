//! A run as a write sees it: loaded once, told about, written back once.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row, params};
use staunch_flow::{Inputs, RunOutcome};

use super::code::{self, Columns, ENDED, QUEUED, RUNNING};
use super::statement::statements;
use super::turn::{Turn, signed};
use crate::error::StoreError;
use crate::id::{RunId, Timestamp};
use crate::record::{NewEvent, RunHead};

statements! {
    BY_ID = "SELECT n, id, workflow, revision, state, version, last_event, journal, created_at FROM run WHERE id = ?1";
    BY_NUMBER = "SELECT n, id, workflow, revision, state, version, last_event, journal, created_at FROM run WHERE n = ?1";
    HEAD = "SELECT v.sha, i.inputs FROM revision v LEFT JOIN input i ON i.run = ?1 WHERE v.n = ?2";
    TELL = "INSERT INTO event (run, seq, at, name, body, plan) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    MOVE = "UPDATE run SET version = ?2, last_event = ?3, journal = ?4, bytes = bytes + ?5, log_bytes = log_bytes + ?6,
        cancel_requested = max(cancel_requested, ?7) WHERE n = ?1";
    START = "UPDATE run SET version = ?2, last_event = ?3, journal = ?4, bytes = bytes + ?5, log_bytes = log_bytes + ?6,
        cancel_requested = max(cancel_requested, ?7), state = 1, started_at = ?8 WHERE n = ?1";
    END = "UPDATE run SET version = ?2, last_event = ?3, journal = ?4, bytes = bytes + ?5, log_bytes = log_bytes + ?6,
        cancel_requested = max(cancel_requested, ?7), state = 2, ended_at = ?8, outcome = ?9 WHERE n = ?1";
    DROP_READY = "DELETE FROM ready WHERE run = ?1";
    KEEP = "INSERT INTO kept (workflow, ended) VALUES (?1, 1) ON CONFLICT (workflow) DO UPDATE SET ended = ended + 1";
}

/// Bytes of an event's row besides its texts.
const EVENT_BYTES: usize = 24;

/// A run in the middle of a write.
pub(super) struct OpenRun {
    /// Its number in the file.
    pub(super) n: i64,
    /// Its id.
    pub(super) id: RunId,
    /// Its version, as it will be.
    pub(super) version: i64,
    /// The number of its last event, as it will be.
    pub(super) last_event: i64,
    /// How many events its journal has, as it will have.
    pub(super) journal: i64,
    /// Bytes of rows and logs that this write adds.
    pub(super) bytes: i64,
    /// Bytes of log files that this write adds.
    pub(super) log_bytes: i64,
    workflow: String,
    revision: i64,
    state: i64,
    created_at: Timestamp,
    starts: bool,
    cancels: bool,
    head: Option<Arc<RunHead>>,
}

impl OpenRun {
    /// The run with this id.
    pub(super) fn by_id(turn: &Turn<'_>, id: RunId) -> Result<Option<Self>, StoreError> {
        Ok(turn.sql(BY_ID)?.query_row([id.0.as_bytes()], Self::from_row).optional()?)
    }

    /// The run with this number.
    pub(super) fn by_number(turn: &Turn<'_>, n: i64) -> Result<Self, StoreError> {
        Ok(turn.sql(BY_NUMBER)?.query_row([n], Self::from_row)?)
    }

    /// A run whose row was just inserted with number `n`, and nothing told of it.
    pub(super) fn accepted(n: i64, id: RunId, workflow: String, revision: i64, at: Timestamp) -> Self {
        Self {
            n,
            id,
            version: 1,
            last_event: 0,
            journal: 0,
            bytes: 0,
            log_bytes: 0,
            workflow,
            revision,
            state: QUEUED,
            created_at: at,
            starts: false,
            cancels: false,
            head: None,
        }
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let at = Timestamp(row.get(8)?);
        let mut run = Self::accepted(row.get(0)?, row.run_id(1)?, row.get(2)?, row.get(3)?, at);
        run.state = row.get(4)?;
        run.version = row.get(5)?;
        run.last_event = row.get(6)?;
        run.journal = row.get(7)?;
        Ok(run)
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.state == ENDED
    }

    /// What never changes of it; read once.
    pub(super) fn head(&mut self, turn: &Turn<'_>) -> Result<Arc<RunHead>, StoreError> {
        if let Some(head) = &self.head {
            return Ok(Arc::clone(head));
        }
        let (revision, inputs) = turn.sql(HEAD)?.query_row([self.n, self.revision], |row| {
            let none = row.get_ref(1)? == ValueRef::Null;
            Ok((row.revision(0)?, if none { Inputs::new() } else { row.json(1)? }))
        })?;
        let head = Arc::new(RunHead {
            id: self.id,
            workflow: self.workflow.clone(),
            revision,
            inputs,
            created_at: self.created_at,
        });
        self.head = Some(Arc::clone(&head));
        Ok(head)
    }

    /// Appends an event.
    pub(super) fn tell(&mut self, turn: &Turn<'_>, event: &NewEvent) -> Result<(), StoreError> {
        let body = json(&event.body)?;
        let plan = event.plan.as_ref().map(json).transpose()?;
        self.cancels |= matches!(event.plan, Some(staunch_flow::Event::CancelRequested { .. }));
        self.tell_text(turn, event.name, &body, plan.as_deref())
    }

    /// Appends an event that is text already.
    pub(super) fn tell_text(
        &mut self,
        turn: &Turn<'_>,
        name: &str,
        body: &str,
        plan: Option<&str>,
    ) -> Result<(), StoreError> {
        self.last_event += 1;
        self.journal += i64::from(plan.is_some());
        self.bytes += signed((EVENT_BYTES + name.len() + body.len() + plan.map_or(0, str::len)) as u64);
        turn.execute(TELL, params![self.n, self.last_event, turn.now.0, name, body, plan])?;
        Ok(())
    }

    /// Its first attempt starts, unless one has.
    pub(super) fn start(&mut self, turn: &Turn<'_>) -> Result<(), StoreError> {
        if self.state == QUEUED {
            self.state = RUNNING;
            self.starts = true;
            self.tell_text(turn, "run.started", "{}", None)?;
        }
        Ok(())
    }

    /// Writes it back.
    pub(super) fn store(&self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        turn.tally.bytes += self.bytes;
        turn.tally.log_bytes += self.log_bytes;
        let Self { n, version, last_event, journal, bytes, log_bytes, .. } = *self;
        let cancels = i64::from(self.cancels);
        if self.starts {
            turn.tally.queued -= 1;
            turn.tally.running += 1;
            let at = turn.now.0;
            turn.execute(START, params![n, version, last_event, journal, bytes, log_bytes, cancels, at])?;
        } else {
            turn.execute(MOVE, params![n, version, last_event, journal, bytes, log_bytes, cancels])?;
        }
        Ok(())
    }

    /// Writes it back as one that is over. What is still in flight is gone with it: results that come later are stale.
    pub(super) fn end(&mut self, turn: &mut Turn<'_>, outcome: RunOutcome) -> Result<(), StoreError> {
        turn.tally.bytes += self.bytes;
        turn.tally.log_bytes += self.log_bytes;
        turn.tally.in_flight -= turn.execute(DROP_READY, [self.n])?;
        match self.state {
            QUEUED => turn.tally.queued -= 1,
            _ => turn.tally.running -= 1,
        }
        turn.tally.ended += 1;
        self.state = ENDED;
        turn.execute(
            END,
            params![
                self.n,
                self.version,
                self.last_event,
                self.journal,
                self.bytes,
                self.log_bytes,
                i64::from(self.cancels),
                turn.now.0,
                code::run_outcome(outcome)
            ],
        )?;
        turn.execute(KEEP, [&self.workflow])?;
        Ok(())
    }
}

/// JSON text.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed(format!("it has no JSON: {error}")))
}
