//! Every bound, in one table.

use std::time::Duration;

use staunch_store::{AccountLimits, READERS_MAX, StoreLimits};

use crate::catalog::HEAP_BYTES_PER_TEXT_BYTE;

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $value:expr, $unit:literal;)+) => {
        /// Every bound of the server, unit last. Each can be set in the configuration under `[limits]` by its name here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits { $($(#[doc = $doc])+ pub $name: $kind,)+ }

        impl Default for Limits {
            fn default() -> Self { Self { $($name: $value,)+ } }
        }

        impl Limits {
            /// The table, for the manual and for `staunch config show`.
            pub fn table(&self) -> Vec<LimitDoc> {
                vec![$(LimitDoc {
                    name: stringify!($name),
                    unit: $unit,
                    value: u64::from(self.$name),
                    doc: concat!($($doc),+),
                },)+]
            }
        }
    };
}

/// A limit, as the manual shows it.
#[derive(Clone, Copy, Debug)]
pub struct LimitDoc {
    /// Its name, also its key in the configuration.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it is set to.
    pub value: u64,
    /// What it bounds.
    pub doc: &'static str,
}

limits! {
    /// Steps that run at once on this machine.
    steps_active_max: u32 = 16, "steps";
    /// Runs that are queued or running; one more is refused with 503.
    runs_open_max: u64 = 100_000, "runs";
    /// Plans of runs in memory; others are rebuilt from the store when their turn comes.
    plans_memory_bytes_max: u64 = 32 << 20, "bytes";
    /// Workflow files of the workflows directory.
    workflows_max: u32 = 1_000, "files";
    /// Bytes of all workflow files of the workflows directory; files beyond are left out.
    workflows_bytes_max: u64 = 4 << 20, "bytes";
    /// Parsed workflows of earlier revisions in memory.
    catalog_bytes_max: u64 = 8 << 20, "bytes";
    /// Bytes of one workflow file.
    workflow_bytes_max: u32 = 1 << 20, "bytes";
    /// Steps of one workflow.
    steps_per_workflow_max: u32 = 5_000, "steps";
    /// What is kept of each of a step's two streams in its result: half head, half tail.
    capture_bytes_max: u32 = 64 << 10, "bytes";
    /// Captured output of all running steps.
    captures_bytes_max: u64 = 8 << 20, "bytes";
    /// Log of one attempt on disk: the first 25 % and the last 75 % are kept.
    log_bytes_max: u64 = 16 << 20, "bytes";
    /// A sealed log up to this size lives in the database.
    log_inline_bytes_max: u32 = 8 << 10, "bytes";
    /// What one step may write to `$STAUNCH_OUTPUT`.
    output_file_bytes_max: u64 = 64 << 10, "bytes";
    /// What all steps of one run may write to `$STAUNCH_OUTPUT`.
    outputs_per_run_bytes_max: u64 = 1 << 20, "bytes";
    /// Events of one run.
    events_per_run_max: u64 = 100_000, "events";
    /// Writes that wait for the store's writer.
    writes_queued_max: u32 = 1_024, "writes";
    /// Page cache of the store's writer.
    store_writer_cache_kib: u32 = 4_096, "KiB";
    /// Page cache of each of the store's four readers.
    store_reader_cache_kib: u32 = 1_024, "KiB";
    /// Open HTTP connections.
    connections_max: u32 = 512, "connections";
    /// Body of an HTTP request.
    body_bytes_max: u32 = 2 << 20, "bytes";
    /// Bodies of all HTTP requests in flight.
    bodies_bytes_max: u64 = 16 << 20, "bytes";
    /// Open event streams; one user has a quarter of them at most.
    streams_max: u32 = 256, "streams";
    /// Topics of one event stream.
    topics_per_stream_max: u32 = 16, "topics";
    /// What one event stream holds while its client is slow.
    stream_bytes_max: u32 = 64 << 10, "bytes";
    /// Sessions of all users; a login beyond is refused with 503, nobody's session is ended for it.
    sessions_max: u32 = 1_024, "sessions";
    /// Sessions of one user; a login beyond is refused with 503.
    sessions_per_user_max: u32 = 10, "sessions";
    /// Users.
    users_max: u32 = 1_000, "users";
    /// API tokens of one user.
    tokens_per_user_max: u32 = 50, "tokens";
    /// Lines of the audit log; the oldest go.
    audit_rows_max: u64 = 10_000, "lines";
    /// Passwords hashed at once, 19 MiB each; others wait for their turn.
    passwords_at_once: u32 = 2, "passwords";
    /// Workers a step may lose before it is given up.
    losses_max: u32 = 3, "losses";
    /// Between TERM and KILL.
    kill_grace_seconds: u32 = 10, "seconds";
    /// How long a step's other processes may outlive its first before they count as left behind.
    settle_ms: u32 = 200, "ms";
    /// The longest a clean-up step may take after its run was cancelled or timed out, if it sets no timeout.
    cleanup_seconds: u32 = 300, "seconds";
    /// How long a stop waits for running steps before it kills them.
    drain_seconds: u32 = 30, "seconds";
    /// New runs are refused with 507 when the disk has less than this free.
    disk_free_bytes_min: u64 = 256 << 20, "bytes";
    /// Runs that are over are removed after this many days (0: never).
    retention_days: u32 = 30, "days";
    /// Runs kept of one workflow (0: any number).
    retention_runs: u64 = 10_000, "runs";
    /// Bytes kept of all runs: rows and logs (0: any number).
    retention_bytes: u64 = 10 << 30, "bytes";
    /// How often it is looked for what retention does not keep.
    retention_sweep_seconds: u32 = 300, "seconds";
    /// How long an Idempotency-Key is remembered.
    idempotency_seconds: u64 = 86_400, "seconds";
}

/// What hashing one password takes, in bytes: Argon2 with m = 19,456 KiB.
pub const PASSWORD_BYTES: u64 = 19 << 20;
/// API tokens that are remembered between two requests, so that the store is not asked each time.
pub const TOKENS_KNOWN_MAX: u64 = 1_024;
/// A session or a token in memory, with its user: names, a user agent of 200 bytes, five CSRF secrets, and the table around it.
const CREDENTIAL_BYTES: u64 = 1_536;
/// The tables of all rate limits, in bytes; a test of the server compares.
pub const RATE_BYTES_MAX: u64 = 4 << 20;

impl Limits {
    /// The most memory the server holds for what clients, files and child processes chose, in bytes, a line a holder.
    pub fn memory(&self) -> Vec<(&'static str, u64)> {
        let steps = u64::from(self.steps_active_max);
        vec![
            ("plans of active runs", self.plans_memory_bytes_max),
            ("workflows by name", self.workflows_bytes_max * HEAP_BYTES_PER_TEXT_BYTE),
            ("workflows by revision", self.catalog_bytes_max),
            ("captured output of running steps", self.captures_bytes_max),
            ("log buffers of running steps", steps * (64 << 10)),
            ("writes that wait for the store", u64::from(self.writes_queued_max) * (16 << 10)),
            ("pages and statements of the store", self.store().heap_bytes_max(READERS_MAX)),
            ("connections", u64::from(self.connections_max) * (64 << 10)),
            ("request bodies", self.bodies_bytes_max),
            ("event streams", u64::from(self.streams_max) * u64::from(self.stream_bytes_max)),
            ("sessions and tokens in use", (u64::from(self.sessions_max) + TOKENS_KNOWN_MAX) * CREDENTIAL_BYTES),
            ("passwords being hashed", u64::from(self.passwords_at_once) * PASSWORD_BYTES),
            ("rate limits", RATE_BYTES_MAX),
        ]
    }

    /// The sum of [`Limits::memory`], in bytes.
    pub fn memory_bytes_max(&self) -> u64 {
        self.memory().iter().map(|(_, bytes)| bytes).sum()
    }

    /// What the store needs of them.
    pub fn store(&self) -> StoreLimits {
        StoreLimits {
            runs_open_max: self.runs_open_max,
            writes_queued_max: self.writes_queued_max as usize,
            writer_cache_kib: self.store_writer_cache_kib,
            reader_cache_kib: self.store_reader_cache_kib,
            events_per_run_max: self.events_per_run_max,
            revision_bytes_max: self.workflow_bytes_max as usize,
            log_bytes_max: self.log_bytes_max,
            log_inline_bytes_max: self.log_inline_bytes_max as usize,
            disk_free_bytes_min: self.disk_free_bytes_min,
            idempotency_seconds: self.idempotency_seconds,
        }
    }

    /// What the store needs of them for accounts.
    pub fn accounts(&self) -> AccountLimits {
        AccountLimits {
            users_max: self.users_max.into(),
            sessions_max: self.sessions_max.into(),
            sessions_per_user_max: self.sessions_per_user_max.into(),
            tokens_per_user_max: self.tokens_per_user_max.into(),
            audit_rows_max: self.audit_rows_max,
        }
    }

    /// Between TERM and KILL.
    pub fn kill_grace(&self) -> Duration {
        Duration::from_secs(self.kill_grace_seconds.into())
    }

    /// How long a stop waits for running steps before it kills them.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds.into())
    }
}
