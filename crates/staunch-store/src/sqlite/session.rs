//! Sessions of logged-in browsers.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit::{ADDRESS_BYTES_MAX, cut, tell};
use super::code;
use super::statement::{prepare, statements};
use super::turn::{Turn, millis, signed};
use super::user;
use crate::account::{Actor, Fingerprint, LiveSession, NewSession, SessionBegun, SessionHandle, SessionRow, UserId};
use crate::error::StoreError;
use crate::id::Timestamp;

/// A SELECT of whole sessions with whose they are.
macro_rules! sessions {
    ($filter:literal) => {
        concat!(
            "SELECT s.handle, s.created_at, s.seen_at, s.expires_at, s.ends_at, s.label, s.address,
                u.id, u.name, u.role, u.disabled, u.created_at, u.password_changed_at
            FROM session s CROSS JOIN user u ON u.n = s.user WHERE ",
            $filter
        )
    };
}

statements! {
    EXPIRE_OF = "DELETE FROM session WHERE user = ?1 AND expires_at <= ?2";
    EXPIRE = "DELETE FROM session WHERE key IN
        (SELECT key FROM session WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    COUNT_OF = "SELECT count(*) FROM session WHERE user = ?1";
    BEGIN = "INSERT INTO session (key, handle, user, created_at, seen_at, idle_ms, expires_at, ends_at, label, address)
        VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9)";
    LIVE = sessions!("s.key = ?1 AND s.expires_at > ?2 AND u.disabled = 0");
    LIVE_OF = "SELECT s.handle, s.created_at, s.seen_at, s.expires_at, s.ends_at, s.label, s.address
        FROM session s INDEXED BY session_by_user WHERE s.user = (SELECT n FROM user WHERE id = ?1) AND s.expires_at > ?2
        ORDER BY s.handle DESC";
    TOUCH = "UPDATE session SET seen_at = ?2, expires_at = min(?2 + idle_ms, ends_at) WHERE key = ?1 AND expires_at > ?2";
    END = "DELETE FROM session WHERE key = ?1 RETURNING handle, expires_at";
    ROTATE = "UPDATE session SET key = ?2 WHERE key = ?1 AND expires_at > ?3 RETURNING handle";
    REVOKE = "DELETE FROM session WHERE user = ?1 AND handle = ?2 RETURNING expires_at";
    REVOKE_ALL = "DELETE FROM session WHERE user = ?1 AND handle IS NOT ?2";
}

/// Bytes of what a session is shown as. User agents have 100 to 150.
const LABEL_BYTES_MAX: usize = 200;
/// Expired sessions of others that one login removes: more than it adds, so that a table full of them empties without a sweep.
const EXPIRE_MAX: i64 = 64;
/// The longest time anything is given here: a hundred years in milliseconds. Sums with it stay far from the edge of an integer.
const SPAN_MS_MAX: i64 = 100 * 366 * 86_400_000;

/// A length of time in milliseconds, rounded up, cut to a hundred years.
pub(super) fn span(time: Duration) -> i64 {
    millis(time).min(SPAN_MS_MAX)
}

/// See [`crate::Accounts::begin_session`].
pub(super) fn begin(turn: &mut Turn<'_>, new: &NewSession, actor: &Actor) -> Result<SessionBegun, StoreError> {
    turn.ground.directory.is_there()?;
    let Some((n, user)) = user::numbered(turn.connection, new.user)? else { return Ok(SessionBegun::Refused) };
    if user.disabled || user.password_changed_at != new.password_changed_at {
        return Ok(SessionBegun::Refused);
    }
    expire_of(turn, n)?;
    expire(turn, EXPIRE_MAX)?;
    let limits = turn.ground.accounts;
    let of_user: i64 = turn.sql(COUNT_OF)?.query_row([n], |row| row.get(0))?;
    if of_user >= signed(limits.sessions_per_user_max) {
        return Ok(SessionBegun::UserFull { limit: limits.sessions_per_user_max });
    }
    if turn.tally.sessions >= signed(limits.sessions_max) {
        return Ok(SessionBegun::Full { limit: limits.sessions_max });
    }
    let row = SessionRow {
        handle: SessionHandle::generate(),
        user: new.user,
        created_at: turn.now,
        seen_at: turn.now,
        expires_at: Timestamp(turn.now.0 + span(new.idle.min(new.absolute))),
        ends_at: Timestamp(turn.now.0 + span(new.absolute)),
        label: cut(&new.label, LABEL_BYTES_MAX).to_owned(),
        address: cut(&new.address, ADDRESS_BYTES_MAX).to_owned(),
    };
    let values = params![
        new.key.0,
        row.handle.0.as_bytes(),
        n,
        turn.now.0,
        span(new.idle),
        row.expires_at.0,
        row.ends_at.0,
        row.label,
        row.address
    ];
    turn.execute(BEGIN, values)?;
    turn.tally.sessions += 1;
    tell(turn, actor, "session.begun", &user.name, &row.handle.to_string())?;
    Ok(SessionBegun::Begun(row))
}

/// See [`crate::Accounts::session`].
pub(super) fn session(
    connection: &Connection,
    key: Fingerprint,
    now: Timestamp,
) -> Result<Option<LiveSession>, StoreError> {
    let found = prepare(connection, LIVE)?.query_row(params![key.0, now.0], |row| {
        let user = user::user_from(row, 7)?;
        Ok(LiveSession { session: session_row(row, user.id)?, user })
    });
    Ok(found.optional()?)
}

/// See [`crate::Accounts::sessions`].
pub(super) fn sessions(connection: &Connection, user: UserId, now: Timestamp) -> Result<Vec<SessionRow>, StoreError> {
    let mut statement = prepare(connection, LIVE_OF)?;
    let rows = statement.query_map(params![user.0.as_bytes(), now.0], |row| session_row(row, user))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// See [`crate::Accounts::touch_session`].
pub(super) fn touch(turn: &mut Turn<'_>, key: Fingerprint) -> Result<bool, StoreError> {
    Ok(turn.execute(TOUCH, params![key.0, turn.now.0])? > 0)
}

/// See [`crate::Accounts::end_session`].
pub(super) fn end(turn: &mut Turn<'_>, key: Fingerprint, actor: &Actor) -> Result<bool, StoreError> {
    let ended = turn.sql(END)?.query_row([key.0], |row| Ok((handle(row, 0)?, row.get::<_, i64>(1)?))).optional()?;
    let Some((handle, expires_at)) = ended else { return Ok(false) };
    turn.tally.sessions -= 1;
    let lived = expires_at > turn.now.0;
    if lived {
        tell(turn, actor, "session.ended", &handle.to_string(), "")?;
    }
    Ok(lived)
}

/// See [`crate::Accounts::rotate_session`].
pub(super) fn rotate(
    turn: &mut Turn<'_>,
    old: Fingerprint,
    new: Fingerprint,
    actor: &Actor,
) -> Result<bool, StoreError> {
    let rotated = turn.sql(ROTATE)?.query_row(params![old.0, new.0, turn.now.0], |row| handle(row, 0)).optional()?;
    let Some(handle) = rotated else { return Ok(false) };
    tell(turn, actor, "session.rotated", &handle.to_string(), "")?;
    Ok(true)
}

/// See [`crate::Accounts::revoke_session`].
pub(super) fn revoke(
    turn: &mut Turn<'_>,
    of: UserId,
    handle: SessionHandle,
    actor: &Actor,
) -> Result<bool, StoreError> {
    let Some((n, user)) = user::numbered(turn.connection, of)? else { return Ok(false) };
    let which = params![n, handle.0.as_bytes()];
    let revoked = turn.sql(REVOKE)?.query_row(which, |row| row.get::<_, i64>(0)).optional()?;
    let Some(expires_at) = revoked else { return Ok(false) };
    turn.tally.sessions -= 1;
    let lived = expires_at > turn.now.0;
    if lived {
        tell(turn, actor, "session.revoked", &user.name, &handle.to_string())?;
    }
    Ok(lived)
}

/// See [`crate::Accounts::revoke_sessions`].
pub(super) fn revoke_all(
    turn: &mut Turn<'_>,
    of: UserId,
    keep: Option<SessionHandle>,
    actor: &Actor,
) -> Result<u64, StoreError> {
    let Some((n, user)) = user::numbered(turn.connection, of)? else { return Ok(0) };
    let ended = end_all_of(turn, n, keep)?;
    if ended > 0 {
        tell(turn, actor, "session.revoked", &user.name, &format!("{ended} sessions"))?;
    }
    Ok(ended)
}

/// Ends all sessions of a user but one; how many that lived.
pub(super) fn end_all_of(turn: &mut Turn<'_>, user: i64, keep: Option<SessionHandle>) -> Result<u64, StoreError> {
    expire_of(turn, user)?;
    let ended = turn.execute(REVOKE_ALL, params![user, keep.map(|handle| handle.0.into_bytes())])?;
    turn.tally.sessions -= ended;
    Ok(ended.unsigned_abs())
}

/// Removes at most so many expired sessions, whosever they are; how many.
pub(super) fn expire(turn: &mut Turn<'_>, max: i64) -> Result<i64, StoreError> {
    let gone = turn.execute(EXPIRE, [turn.now.0, max])?;
    turn.tally.sessions -= gone;
    Ok(gone)
}

/// Removes the expired sessions of one user.
fn expire_of(turn: &mut Turn<'_>, user: i64) -> Result<(), StoreError> {
    turn.tally.sessions -= turn.execute(EXPIRE_OF, [user, turn.now.0])?;
    Ok(())
}

/// The first seven columns of [`sessions!`].
fn session_row(row: &Row<'_>, user: UserId) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        handle: handle(row, 0)?,
        user,
        created_at: Timestamp(row.get(1)?),
        seen_at: Timestamp(row.get(2)?),
        expires_at: Timestamp(row.get(3)?),
        ends_at: Timestamp(row.get(4)?),
        label: row.get(5)?,
        address: row.get(6)?,
    })
}

fn handle(row: &Row<'_>, column: usize) -> rusqlite::Result<SessionHandle> {
    Ok(code::session_handle(row.get(column)?))
}
