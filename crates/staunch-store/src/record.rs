//! What goes into a store and what comes out of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use staunch_flow::{Event, Inputs, Outcome, RunOutcome, StepIndex};

use crate::id::{AttemptKey, Incarnation, RevisionId, RunId, Timestamp};

/// A text of a workflow file, to be remembered and made its name's current one.
#[derive(Clone, Debug)]
pub struct NewRevision {
    /// The workflow's name.
    pub name: String,
    /// The text, whole.
    pub text: Arc<str>,
    /// The file it came from, relative to the workflows directory; `None` for one that a local run brought along.
    pub file: Option<String>,
}

/// A workflow, by its current revision.
#[derive(Clone, Debug)]
pub struct WorkflowRow {
    /// Its name.
    pub name: String,
    /// Its current text.
    pub revision: RevisionId,
    /// The file it comes from.
    pub file: Option<String>,
    /// When the current revision became current.
    pub updated_at: Timestamp,
    /// Its newest run, if any is remembered.
    pub last_run: Option<RunId>,
}

/// A run to be accepted.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id, made by the caller.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// The exact text it runs.
    pub revision: RevisionId,
    /// Its checked inputs.
    pub inputs: Inputs,
    /// Who or what started it: `api`, `cli`, `rerun`, ...
    pub trigger: String,
    /// The run it repeats.
    pub rerun_of: Option<RunId>,
    /// Attempts that may start at once: what `Plan::begin` said. `claim_for` is not heard here: an answer to a submission
    /// carries no claims.
    pub ready: Vec<NewAttempt>,
    /// What is already known: `Event::Kept` of a rerun, steps skipped from the start.
    pub events: Vec<NewEvent>,
    /// Set if nothing is left to do (every step was kept or skipped).
    pub outcome: Option<RunOutcome>,
}

/// An attempt that may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewAttempt {
    /// The step.
    pub step: StepIndex,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Not before this long from now.
    pub delay: Duration,
    /// Claim it for this worker in the same transaction (the finisher has a free slot). Only where `delay` is zero.
    pub claim_for: Option<Incarnation>,
}

/// What a client calls one request, so that sending it twice does it once.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// The key, at most 255 bytes.
    pub key: String,
    /// SHA-256 of what was asked.
    pub asked: [u8; 32],
}

/// What became of a submission. It is on disk.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The run: the new one, or the one that the idempotency key stands for.
    pub run: RunId,
    /// Whether the key was seen before and nothing new was made.
    pub replayed: bool,
}

/// What never changes of a run.
#[derive(Clone, Debug)]
pub struct RunHead {
    /// Its id.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// The text it runs.
    pub revision: RevisionId,
    /// Its inputs.
    pub inputs: Inputs,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// A worker asks for work.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRequest {
    /// Who asks.
    pub worker: Incarnation,
    /// Free slots. Attempts marked to be killed are handed out besides, up to `kills_max`, so that a cancel never waits for a slot.
    pub slots: u32,
    /// How many attempts to be killed it takes at once.
    pub kills_max: u32,
}

/// What a claim brought.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The claimed attempts: to be killed first, then in the order (due, run accepted, step).
    pub claimed: Vec<Claimed>,
    /// How long until the next unclaimed attempt is due; `None` if nothing is waiting for time to pass.
    pub next_due: Option<Duration>,
    /// Whether more are due already.
    pub more: bool,
}

/// An attempt in a worker's hands.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Which.
    pub key: AttemptKey,
    /// Grows by one at each claim; every later write about this claim names it.
    pub epoch: u32,
    /// Workers this attempt has lost so far.
    pub losses: u32,
    /// It is only to be ended with this outcome, not started.
    pub kill: Option<Outcome>,
    /// The run.
    pub run: Arc<RunHead>,
    /// The run's version now.
    pub version: u64,
    /// Whether the run's journal is empty, so that its plan need not be replayed.
    pub fresh: bool,
}

/// A run's head, version and journal: enough to rebuild its plan.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The run.
    pub head: Arc<RunHead>,
    /// Its version; a commit names it.
    pub version: u64,
    /// Its plan's events, in order.
    pub events: Vec<Event>,
    /// When its first attempt was claimed.
    pub started_at: Option<Timestamp>,
    /// How it ended, if it has.
    pub outcome: Option<RunOutcome>,
    /// Attempts in flight: claimed or not.
    pub in_flight: Vec<(AttemptKey, Option<Incarnation>)>,
}

/// One guarded step forward of a run: what ended, what follows. All of it or nothing.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The run.
    pub run: RunId,
    /// The version this was worked out from; another one is a conflict.
    pub version: u64,
    /// Claimed attempts that ended.
    pub ended: Vec<AttemptEnd>,
    /// Attempts that may start now.
    pub ready: Vec<NewAttempt>,
    /// Attempts to be killed, claimed or not, and the outcome they will have. Unclaimed ones become due at once.
    pub kill: Vec<(StepIndex, u32, Outcome)>,
    /// What to tell and, where it has an event of the plan, to replay; in order.
    pub events: Vec<NewEvent>,
    /// Set if the run is over.
    pub outcome: Option<RunOutcome>,
}

/// The end of a claimed attempt.
#[derive(Clone, Debug)]
pub struct AttemptEnd {
    /// Which.
    pub key: AttemptKey,
    /// Whose claim.
    pub worker: Incarnation,
    /// Which claim.
    pub epoch: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The step's result as JSON: `exit_code`, `stdout`, `stderr`, ... (DESIGN §4).
    pub result: Value,
    /// How long it ran.
    pub duration: Duration,
    /// Where its log is.
    pub log: LogPlace,
}

/// Where a sealed log is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogPlace {
    /// It said nothing.
    #[default]
    Nowhere,
    /// In the database: its framed bytes.
    Inline(Vec<u8>),
    /// In a file of [`crate::Logs`], of this many bytes on disk.
    File {
        /// Bytes on disk.
        bytes: u64,
    },
}

impl LogPlace {
    /// Bytes it takes; 0 if there is no log.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Nowhere => 0,
            Self::Inline(bytes) => bytes.len() as u64,
            Self::File { bytes } => *bytes,
        }
    }
}

/// Something to tell the run's subscribers; numbered by the store.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What it is called on the wire: `step.started`, `step.ended`, `step.settled`, `run.ended`, ...
    pub name: &'static str,
    /// What it says, as JSON.
    pub body: Value,
    /// The plan's event behind it, if it is one: part of the journal.
    pub plan: Option<Event>,
}

/// What became of a commit.
#[derive(Clone, Debug)]
pub enum Committed {
    /// It is on disk.
    Recorded {
        /// The run's version now.
        version: u64,
        /// The number of the last event told, for feeds.
        last_event: u64,
        /// The attempts of `ready` that were claimed along with it.
        claimed: Vec<Claimed>,
    },
    /// An attempt in `ended` is no longer in that worker's hands: nothing was changed.
    Stale {
        /// Which.
        attempt: AttemptKey,
    },
    /// The run's version is another: nothing was changed. Reload the journal and try again.
    Conflict,
}

/// What a worker hears when it renews its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It still holds it. These attempts of its own are to be killed.
    Held {
        /// Which, and the outcome they will have.
        kill: Vec<(AttemptKey, Outcome)>,
    },
    /// It was declared dead: kill all, forget all, join again.
    Lost,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Accepted; no attempt has been claimed yet.
    Queued,
    /// At least one attempt has been claimed.
    Running,
    /// Over; see its outcome.
    Ended,
}

/// A run, as lists show it.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// What never changes.
    pub head: Arc<RunHead>,
    /// Where it stands.
    pub state: RunState,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// Who or what started it.
    pub trigger: String,
    /// The run it repeats.
    pub rerun_of: Option<RunId>,
    /// Whether somebody asked for it to be cancelled.
    pub cancel_requested: bool,
    /// When its first attempt was claimed.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// How much of its attempts' results a reader wants. A result may hold 128 KiB of output, and a run may have thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// None at all.
    Nothing,
    /// All, in order, while they sum to at most so many bytes; of those after, the same without their output: `stdout` and `stderr` are
    /// empty and marked as truncated where there was any.
    UpTo {
        /// Bytes of JSON.
        bytes: u64,
    },
}

/// An attempt, ended or in flight.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// Which.
    pub key: AttemptKey,
    /// Its newest claim.
    pub epoch: u32,
    /// Workers it lost.
    pub losses: u32,
    /// How it ended; `None` while in flight.
    pub outcome: Option<Outcome>,
    /// When it was claimed last; `None` while it waits.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How long it ran.
    pub duration: Option<Duration>,
    /// Not before this time, while it waits.
    pub due_at: Option<Timestamp>,
    /// The step's result as JSON.
    pub result: Option<Value>,
    /// Where its log is, without the inline bytes (see [`crate::Store::inline_log`]).
    pub log: LogPlace,
}

/// An event, as told.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its number in its run, from 1, without holes.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What it is called.
    pub name: String,
    /// What it says, as JSON text.
    pub body: String,
}

/// Which runs to list: newest first.
#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    /// Only of this workflow.
    pub workflow: Option<String>,
    /// Only in this state.
    pub state: Option<RunState>,
    /// Only with this outcome.
    pub outcome: Option<RunOutcome>,
    /// Only those before this one (a page's last id).
    pub before: Option<RunId>,
    /// At most this many; at most 200.
    pub limit: u32,
}

/// A part of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether there are more.
    pub more: bool,
}

/// What may stay of runs that are over.
#[derive(Clone, Debug, Default)]
pub struct Retention {
    /// Older ones go.
    pub age_max: Option<Duration>,
    /// More of one workflow go, the oldest first.
    pub runs_per_workflow_max: Option<u64>,
    /// More bytes (rows, logs) of all go, the oldest first.
    pub bytes_max: Option<u64>,
    /// The newest of each workflow stay in any case.
    pub runs_per_workflow_min: u64,
}

/// What a sweep removed.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// Runs whose rows are gone; their log files are to be unlinked.
    pub runs: Vec<RunId>,
    /// Idempotency keys gone.
    pub keys: u64,
    /// Revisions gone: no run and no workflow named them.
    pub revisions: u64,
    /// Whether there is more to sweep.
    pub more: bool,
}

/// What the store holds now.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Usage {
    /// Runs by state word.
    pub runs: BTreeMap<String, u64>,
    /// Attempts in flight.
    pub attempts_in_flight: u64,
    /// Bytes of the database file.
    pub database_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Bytes of log files.
    pub log_bytes: u64,
    /// Results that came too late and were dropped, since start.
    pub stale_total: u64,
    /// Commits, since start.
    pub commits_total: u64,
    /// Operations in them, since start.
    pub operations_total: u64,
}
