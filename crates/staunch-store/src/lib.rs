//! What Staunch remembers: workflows, runs, attempts, events and logs.
//!
//! [`Store`] is about twenty domain operations, each one transaction; no SQL and no row of a database leaks out of it.
//! [`Accounts`] is the same for users, their sessions and tokens, and the audit log. [`Sqlite`] is the embedded store of
//! both. [`Logs`] keeps what steps said, outside the database.

mod account;
mod accounts;
mod error;
mod fault;
mod id;
mod limits;
pub mod logs;
mod record;
mod sqlite;
mod store;

pub use account::{
    AccountLimits, AccountUsage, AccountsSwept, Actor, AuditEntry, AuditQuery, AuditRow, Credentials, Fingerprint,
    LiveSession, LiveToken, NewSession, NewToken, NewUser, PasswordHash, Role, Scope, SessionBegun, SessionHandle,
    SessionRow, SetupOpened, SetupRedeemed, TokenCreated, TokenId, TokenRow, UserChange, UserChanged, UserCreated,
    UserDeleted, UserId, UserRow, Via,
};
pub use accounts::Accounts;
pub use error::StoreError;
pub use id::{AttemptKey, BadId, Incarnation, RevisionId, RunId, Timestamp};
pub use limits::StoreLimits;
pub use logs::Logs;
pub use record::{
    AttemptEnd, AttemptRow, ClaimRequest, Claimed, Claims, Commit, Committed, EventRow, IdempotencyKey, Journal,
    LogPlace, NewAttempt, NewEvent, NewRevision, NewRun, Page, Renewal, Results, Retention, RunHead, RunQuery, RunRow,
    RunState, Submitted, Swept, Usage, WorkflowRow,
};
pub use sqlite::{Clock, Durability, HandClock, Opening, READERS_MAX, Sqlite, SystemClock};
pub use store::Store;
