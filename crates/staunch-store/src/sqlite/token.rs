//! API tokens.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit::tell;
use super::code::{self, Columns};
use super::session;
use super::statement::{prepare, statements};
use super::turn::{Turn, signed};
use super::user::{self, bounded};
use crate::account::{Actor, Fingerprint, LiveToken, NewToken, TokenCreated, TokenId, TokenRow, UserId};
use crate::error::StoreError;
use crate::id::Timestamp;

statements! {
    EXPIRE_OF = "DELETE FROM token WHERE user = ?1 AND expires_at <= ?2";
    EXPIRE = "DELETE FROM token WHERE id IN (SELECT id FROM token INDEXED BY token_by_expiry
        WHERE expires_at IS NOT NULL AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    COUNT_OF = "SELECT count(*) FROM token WHERE user = ?1";
    MAKE = "INSERT INTO token (id, user, name, shown, hash, scope, created_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    LIVE = "SELECT t.id, t.name, t.shown, t.scope, t.created_at, t.expires_at, t.last_used_at,
            u.id, u.name, u.role, u.disabled, u.created_at, u.password_changed_at
        FROM token t CROSS JOIN user u ON u.n = t.user
        WHERE t.hash = ?1 AND ifnull(t.expires_at > ?2, 1) AND u.disabled = 0";
    LIVE_OF = "SELECT id, name, shown, scope, created_at, expires_at, last_used_at FROM token INDEXED BY token_by_user
        WHERE user = (SELECT n FROM user WHERE id = ?1) AND ifnull(expires_at > ?2, 1) ORDER BY id DESC";
    USED = "SELECT t.last_used_at FROM token t CROSS JOIN user u ON u.n = t.user
        WHERE t.id = ?1 AND ifnull(t.expires_at > ?2, 1) AND u.disabled = 0";
    TOUCH = "UPDATE token SET last_used_at = ?2 WHERE id = ?1";
    OWNED = "SELECT t.name, u.name FROM token t CROSS JOIN user u ON u.n = t.user
        WHERE t.id = ?1 AND (?2 IS NULL OR u.id = ?2)";
    REVOKE = "DELETE FROM token WHERE id = ?1";
}

/// Bytes of what a user calls a token.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of a token's first characters. More of them would be too much of the secret.
const SHOWN_BYTES_MAX: usize = 16;
/// A token's last use is written at most this often, in milliseconds: a client that asks a thousand times a second must not write as
/// often.
const TOUCH_MS: i64 = 60_000;

/// What there is to do about a token that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It does not work.
    Dead,
    /// It works, and its last use is known well enough.
    Fresh,
    /// It works, and its last use is to be written.
    Due,
}

/// See [`crate::Accounts::create_token`].
pub(super) fn create(turn: &mut Turn<'_>, new: &NewToken, actor: &Actor) -> Result<TokenCreated, StoreError> {
    turn.ground.directory.is_there()?;
    bounded("a token's name", &new.name, NAME_BYTES_MAX)?;
    bounded("what is shown of a token", &new.shown, SHOWN_BYTES_MAX)?;
    let Some((n, user)) = user::numbered(turn.connection, new.user)?.filter(|(_, user)| !user.disabled) else {
        return Ok(TokenCreated::NoUser);
    };
    turn.tally.tokens -= turn.execute(EXPIRE_OF, [n, turn.now.0])?;
    let limit = turn.ground.accounts.tokens_per_user_max;
    let of_user: i64 = turn.sql(COUNT_OF)?.query_row([n], |row| row.get(0))?;
    if of_user >= signed(limit) {
        return Ok(TokenCreated::Full { limit });
    }
    let asked = new.ttl.map(|ttl| Timestamp(turn.now.0.saturating_add(session::span(ttl))));
    let row = TokenRow {
        id: TokenId::generate(),
        user: user.id,
        name: new.name.clone(),
        shown: new.shown.clone(),
        scope: new.scope,
        created_at: turn.now,
        expires_at: asked.into_iter().chain(new.no_later).min(),
        last_used_at: None,
    };
    let expires_at = row.expires_at.map(|at| at.0);
    let values = params![
        row.id.0.as_bytes(),
        n,
        row.name,
        row.shown,
        new.hash.0,
        code::scope(row.scope),
        turn.now.0,
        expires_at
    ];
    turn.execute(MAKE, values)?;
    turn.tally.tokens += 1;
    let detail = format!("{} of {}, scope {}", row.name, user.name, row.scope.word());
    tell(turn, actor, "token.created", &row.id.to_string(), &detail)?;
    Ok(TokenCreated::Created(row))
}

/// See [`crate::Accounts::token`].
pub(super) fn token(
    connection: &Connection,
    hash: Fingerprint,
    now: Timestamp,
) -> Result<Option<LiveToken>, StoreError> {
    let found = prepare(connection, LIVE)?.query_row(params![hash.0, now.0], |row| {
        let user = user::user_from(row, 7)?;
        Ok(LiveToken { token: token_row(row, user.id)?, user })
    });
    Ok(found.optional()?)
}

/// See [`crate::Accounts::tokens`].
pub(super) fn tokens(connection: &Connection, user: UserId, now: Timestamp) -> Result<Vec<TokenRow>, StoreError> {
    let mut statement = prepare(connection, LIVE_OF)?;
    let rows = statement.query_map(params![user.0.as_bytes(), now.0], |row| token_row(row, user))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What there is to do about a token that is used now.
pub(super) fn used(connection: &Connection, id: TokenId, now: Timestamp) -> Result<Use, StoreError> {
    let last = prepare(connection, USED)?
        .query_row(params![id.0.as_bytes(), now.0], |row| row.get::<_, Option<i64>>(0))
        .optional()?;
    Ok(match last {
        None => Use::Dead,
        Some(Some(last)) if now.0.saturating_sub(last) < TOUCH_MS => Use::Fresh,
        Some(_) => Use::Due,
    })
}

/// See [`crate::Accounts::touch_token`].
pub(super) fn touch(turn: &mut Turn<'_>, id: TokenId) -> Result<bool, StoreError> {
    let due = used(turn.connection, id, turn.now)?;
    if due == Use::Due {
        turn.execute(TOUCH, params![id.0.as_bytes(), turn.now.0])?;
    }
    Ok(due != Use::Dead)
}

/// See [`crate::Accounts::revoke_token`].
pub(super) fn revoke(
    turn: &mut Turn<'_>,
    id: TokenId,
    owner: Option<UserId>,
    actor: &Actor,
) -> Result<bool, StoreError> {
    let which = params![id.0.as_bytes(), owner.map(|user| user.0.into_bytes())];
    let found = turn.sql(OWNED)?.query_row(which, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((name, user)): Option<(String, String)> = found else { return Ok(false) };
    turn.tally.tokens -= turn.execute(REVOKE, [id.0.as_bytes()])?;
    tell(turn, actor, "token.revoked", &id.to_string(), &format!("{name} of {user}"))?;
    Ok(true)
}

/// Removes at most so many expired tokens; how many.
pub(super) fn expire(turn: &mut Turn<'_>, max: i64) -> Result<i64, StoreError> {
    let gone = turn.execute(EXPIRE, [turn.now.0, max])?;
    turn.tally.tokens -= gone;
    Ok(gone)
}

/// The first seven columns of a token.
fn token_row(row: &Row<'_>, user: UserId) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        id: code::token_id(row.get(0)?),
        user,
        name: row.get(1)?,
        shown: row.get(2)?,
        scope: row.scope(3)?,
        created_at: Timestamp(row.get(4)?),
        expires_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        last_used_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
    })
}
