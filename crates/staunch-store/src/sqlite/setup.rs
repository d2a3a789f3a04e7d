//! The set-up ticket: one row, good once.

use rusqlite::{OptionalExtension, params};

use super::audit::tell;
use super::statement::statements;
use super::turn::Turn;
use super::{session, user};
use crate::account::{Actor, Fingerprint, NewUser, Role, SetupOpened, SetupRedeemed, UserCreated};
use crate::error::StoreError;
use crate::id::Timestamp;

statements! {
    OPEN = "INSERT INTO ticket (one, hash, expires_at) VALUES (1, ?1, ?2)
        ON CONFLICT (one) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at";
    EXPIRY = "SELECT expires_at FROM ticket WHERE one = 1 AND hash = ?1";
    USE_UP = "DELETE FROM ticket WHERE one = 1";
}

/// See [`crate::Accounts::open_setup`].
pub(super) fn open(
    turn: &mut Turn<'_>,
    ticket: Fingerprint,
    ttl: std::time::Duration,
    actor: &Actor,
) -> Result<SetupOpened, StoreError> {
    turn.ground.directory.is_there()?;
    if user::has_admin(turn.connection)? {
        return Ok(SetupOpened::AdminExists);
    }
    let expires_at = Timestamp(turn.now.0.saturating_add(session::span(ttl)));
    turn.execute(OPEN, params![ticket.0, expires_at.0])?;
    tell(turn, actor, "setup.opened", "", "")?;
    Ok(SetupOpened::Opened { expires_at })
}

/// See [`crate::Accounts::redeem_setup`]. The writer takes one after the other, so the second finds an admin.
pub(super) fn redeem(
    turn: &mut Turn<'_>,
    ticket: Fingerprint,
    mut new: NewUser,
    actor: &Actor,
) -> Result<SetupRedeemed, StoreError> {
    if user::has_admin(turn.connection)? {
        return Ok(SetupRedeemed::AdminExists);
    }
    let expires_at = turn.sql(EXPIRY)?.query_row([ticket.0], |row| row.get::<_, i64>(0)).optional()?;
    match expires_at {
        None => return Ok(SetupRedeemed::Unknown),
        Some(expires_at) if expires_at <= turn.now.0 => return Ok(SetupRedeemed::Expired),
        Some(_) => {}
    }
    new.role = Role::Admin;
    match user::insert(turn, &new)? {
        UserCreated::NameTaken => Ok(SetupRedeemed::NameTaken),
        UserCreated::Full { limit } => Ok(SetupRedeemed::Full { limit }),
        UserCreated::AdminExists => Ok(SetupRedeemed::AdminExists),
        UserCreated::Created(row) => {
            end(turn)?;
            tell(turn, actor, "setup.redeemed", &row.name, &row.id.to_string())?;
            Ok(SetupRedeemed::Created(row))
        }
    }
}

/// The way to the first admin is over: no ticket stays behind them.
pub(super) fn end(turn: &mut Turn<'_>) -> Result<(), StoreError> {
    turn.execute(USE_UP, [])?;
    Ok(())
}
