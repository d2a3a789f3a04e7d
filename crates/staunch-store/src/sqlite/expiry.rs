//! Removing what has expired of accounts, and counting what there is.

use rusqlite::{Connection, params};

use super::statement::{prepare, statements};
use super::tally::Tally;
use super::turn::Turn;
use super::{audit, session, token};
use crate::account::{AccountUsage, AccountsSwept};
use crate::error::StoreError;

statements! {
    TICKET = "SELECT 1 FROM ticket WHERE one = 1";
    EXPIRE_TICKET = "DELETE FROM ticket WHERE one = 1 AND expires_at <= ?1";
}

/// Rows of a kind that one sweep removes, whatever is asked for: the writer has others to serve.
const ROWS_MAX: u32 = 1_000;

/// See [`crate::Accounts::sweep_accounts`].
pub(super) fn sweep(turn: &mut Turn<'_>, max: u32) -> Result<AccountsSwept, StoreError> {
    let max = i64::from(max.min(ROWS_MAX));
    let sessions = session::expire(turn, max)?;
    let tokens = token::expire(turn, max)?;
    let audit_rows = audit::forget(turn, max)?;
    let tickets = if max == 0 { 0 } else { turn.execute(EXPIRE_TICKET, params![turn.now.0])? };
    Ok(AccountsSwept {
        sessions: sessions.unsigned_abs(),
        tokens: tokens.unsigned_abs(),
        tickets: tickets.unsigned_abs(),
        audit_rows: audit_rows.unsigned_abs(),
        more: [sessions, tokens, audit_rows].contains(&max),
    })
}

/// See [`crate::Accounts::account_usage`].
pub(super) fn usage(connection: &Connection) -> Result<AccountUsage, StoreError> {
    let tally = Tally::load(connection)?;
    let tickets = u64::from(prepare(connection, TICKET)?.exists([])?);
    Ok(AccountUsage {
        users: tally.users.unsigned_abs(),
        sessions: tally.sessions.unsigned_abs(),
        tokens: tally.tokens.unsigned_abs(),
        tickets,
        audit_rows: tally.audit_rows.unsigned_abs(),
    })
}
