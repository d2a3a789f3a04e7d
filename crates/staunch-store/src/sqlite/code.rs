//! The numbers that stand for words in rows. They are written to disk: never renumber them.

use rusqlite::types::Type;
use staunch_flow::{Outcome, RunOutcome};
use uuid::Uuid;

use crate::account::{Role, Scope, SessionHandle, TokenId, UserId, Via};
use crate::id::{Incarnation, RevisionId, RunId};
use crate::record::RunState;

/// `run.state` of a queued run.
pub(super) const QUEUED: i64 = 0;
/// `run.state` of a running one.
pub(super) const RUNNING: i64 = 1;
/// `run.state` of one that is over.
pub(super) const ENDED: i64 = 2;

// Lists of its own, in an order that never changes: the places in them are the numbers on disk.
const OUTCOMES: [Outcome; 7] = [
    Outcome::Succeeded,
    Outcome::Failed,
    Outcome::TimedOut,
    Outcome::Cancelled,
    Outcome::Skipped,
    Outcome::Leaked,
    Outcome::Interrupted,
];
const RUN_OUTCOMES: [RunOutcome; 4] =
    [RunOutcome::Succeeded, RunOutcome::Failed, RunOutcome::TimedOut, RunOutcome::Cancelled];
const STATES: [RunState; 3] = [RunState::Queued, RunState::Running, RunState::Ended];
const ROLES: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];
const SCOPES: [Scope; 3] = [Scope::Read, Scope::Run, Scope::Admin];
const VIAS: [Via; 5] = [Via::Anonymous, Via::Session, Via::Token, Via::Cli, Via::Server];

fn number<T: PartialEq>(of: &[T], word: &T) -> i64 {
    of.iter().position(|known| known == word).map_or(-1, |i| i as i64)
}

fn word<T: Copy>(of: &[T], column: usize, number: i64) -> rusqlite::Result<T> {
    let known = usize::try_from(number).ok().and_then(|i| of.get(i).copied());
    known.ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// The number of an outcome.
pub(super) fn outcome(outcome: Outcome) -> i64 {
    number(&OUTCOMES, &outcome)
}

/// The number of a run's outcome.
pub(super) fn run_outcome(outcome: RunOutcome) -> i64 {
    number(&RUN_OUTCOMES, &outcome)
}

/// The number of a state.
pub(super) fn state(state: RunState) -> i64 {
    number(&STATES, &state)
}

/// The number of a role.
pub(super) fn role(role: Role) -> i64 {
    number(&ROLES, &role)
}

/// The number of a scope.
pub(super) fn scope(scope: Scope) -> i64 {
    number(&SCOPES, &scope)
}

/// The number of a way in.
pub(super) fn via(via: Via) -> i64 {
    number(&VIAS, &via)
}

/// A user's id from its bytes.
pub(super) fn user_id(bytes: [u8; 16]) -> UserId {
    UserId(Uuid::from_bytes(bytes))
}

/// A token's id from its bytes.
pub(super) fn token_id(bytes: [u8; 16]) -> TokenId {
    TokenId(Uuid::from_bytes(bytes))
}

/// A session's handle from its bytes.
pub(super) fn session_handle(bytes: [u8; 16]) -> SessionHandle {
    SessionHandle(Uuid::from_bytes(bytes))
}

/// Reads typed columns of a row.
pub(super) trait Columns {
    /// An outcome, or NULL.
    fn outcome(&self, column: usize) -> rusqlite::Result<Option<Outcome>>;
    /// A run's outcome, or NULL.
    fn run_outcome(&self, column: usize) -> rusqlite::Result<Option<RunOutcome>>;
    /// A run's state.
    fn state(&self, column: usize) -> rusqlite::Result<RunState>;
    /// A user's role.
    fn role(&self, column: usize) -> rusqlite::Result<Role>;
    /// A token's scope.
    fn scope(&self, column: usize) -> rusqlite::Result<Scope>;
    /// A way in.
    fn via(&self, column: usize) -> rusqlite::Result<Via>;
    /// A run's id.
    fn run_id(&self, column: usize) -> rusqlite::Result<RunId>;
    /// A worker's id, or NULL.
    fn worker(&self, column: usize) -> rusqlite::Result<Option<Incarnation>>;
    /// A revision's id.
    fn revision(&self, column: usize) -> rusqlite::Result<RevisionId>;
    /// JSON text.
    fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> rusqlite::Result<T>;
    /// A number that is never negative.
    fn count(&self, column: usize) -> rusqlite::Result<u64>;
}

impl Columns for rusqlite::Row<'_> {
    fn outcome(&self, column: usize) -> rusqlite::Result<Option<Outcome>> {
        self.get::<_, Option<i64>>(column)?.map(|n| word(&OUTCOMES, column, n)).transpose()
    }

    fn run_outcome(&self, column: usize) -> rusqlite::Result<Option<RunOutcome>> {
        self.get::<_, Option<i64>>(column)?.map(|n| word(&RUN_OUTCOMES, column, n)).transpose()
    }

    fn state(&self, column: usize) -> rusqlite::Result<RunState> {
        word(&STATES, column, self.get(column)?)
    }

    fn role(&self, column: usize) -> rusqlite::Result<Role> {
        word(&ROLES, column, self.get(column)?)
    }

    fn scope(&self, column: usize) -> rusqlite::Result<Scope> {
        word(&SCOPES, column, self.get(column)?)
    }

    fn via(&self, column: usize) -> rusqlite::Result<Via> {
        word(&VIAS, column, self.get(column)?)
    }

    fn run_id(&self, column: usize) -> rusqlite::Result<RunId> {
        Ok(RunId(Uuid::from_bytes(self.get(column)?)))
    }

    fn worker(&self, column: usize) -> rusqlite::Result<Option<Incarnation>> {
        Ok(self.get::<_, Option<[u8; 16]>>(column)?.map(|bytes| Incarnation(Uuid::from_bytes(bytes))))
    }

    fn revision(&self, column: usize) -> rusqlite::Result<RevisionId> {
        Ok(RevisionId(self.get(column)?))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> rusqlite::Result<T> {
        let text = self.get_ref(column)?.as_str()?;
        serde_json::from_str(text)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
    }

    fn count(&self, column: usize) -> rusqlite::Result<u64> {
        let number: i64 = self.get(column)?;
        u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
    }
}

#[cfg(test)]
mod tests {
    use super::{OUTCOMES, ROLES, RUN_OUTCOMES, SCOPES, STATES, VIAS};

    #[test]
    fn every_word_has_its_number_for_ever() {
        let outcomes: Vec<_> = OUTCOMES.iter().map(|o| (super::outcome(*o), o.word())).collect();
        let as_written = ["succeeded", "failed", "timed_out", "cancelled", "skipped", "leaked", "interrupted"];
        assert_eq!(outcomes, (0..).zip(as_written).collect::<Vec<_>>());
        let runs: Vec<_> = RUN_OUTCOMES.iter().map(|o| (super::run_outcome(*o), o.word())).collect();
        assert_eq!(runs, (0..).zip(["succeeded", "failed", "timed_out", "cancelled"]).collect::<Vec<_>>());
        let states: Vec<_> = STATES.iter().map(|s| super::state(*s)).collect();
        assert_eq!(states, [super::QUEUED, super::RUNNING, super::ENDED]);
        let roles: Vec<_> = ROLES.iter().map(|r| (super::role(*r), r.word())).collect();
        assert_eq!(roles, (0..).zip(["viewer", "operator", "admin"]).collect::<Vec<_>>());
        let scopes: Vec<_> = SCOPES.iter().map(|s| (super::scope(*s), s.word())).collect();
        assert_eq!(scopes, (0..).zip(["read", "run", "admin"]).collect::<Vec<_>>());
        let vias: Vec<_> = VIAS.iter().map(|v| (super::via(*v), v.word())).collect();
        let as_written = ["anonymous", "session", "token", "cli", "server"];
        assert_eq!(vias, (0..).zip(as_written).collect::<Vec<_>>());
    }
}
