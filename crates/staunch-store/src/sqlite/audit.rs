//! The audit log: who did what. A bounded number of lines, the oldest go.

use rusqlite::{Connection, Row, ToSql, params};

use super::code::{self, Columns};
use super::statement::{prepare, statements};
use super::turn::{Turn, signed};
use crate::account::{Actor, AuditEntry, AuditQuery, AuditRow};
use crate::error::StoreError;
use crate::id::Timestamp;
use crate::record::Page;

/// A SELECT of whole lines, the newest first.
macro_rules! lines {
    ($from:literal) => {
        concat!(
            "SELECT n, at, user, name, address, via, action, about, detail FROM audit ",
            $from,
            " AND n < :before ORDER BY n DESC LIMIT :limit"
        )
    };
}

statements! {
    TELL = "INSERT INTO audit (at, user, name, address, via, action, about, detail)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    FORGET = "DELETE FROM audit WHERE n IN (SELECT n FROM audit WHERE n > 0 ORDER BY n LIMIT ?1)";
    ALL = lines!("WHERE n > 0");
    OF_USER = lines!("INDEXED BY audit_by_user WHERE user = :user");
    OF_ACTION = lines!("INDEXED BY audit_by_action WHERE action = :action");
    OF_USER_AND_ACTION = lines!("INDEXED BY audit_by_user_action WHERE user = :user AND action = :action");
}

/// Lines on a page, at most.
const PAGE_MAX: u32 = 200;
/// Bytes of what an actor is called: as long as a user's name may be.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of an address: the longest IPv6 address with a zone and a port fits.
pub(super) const ADDRESS_BYTES_MAX: usize = 64;
/// Bytes of an action's word.
const ACTION_BYTES_MAX: usize = 64;
/// Bytes of what was acted upon.
const ABOUT_BYTES_MAX: usize = 200;
/// Bytes of the rest.
const DETAIL_BYTES_MAX: usize = 500;
/// Lines that one insert removes. More than one go only after the bound was set lower; then it is reached step by step, since the
/// writer has others to serve.
const FORGET_MAX: i64 = 1_000;

/// See [`crate::Accounts::audit`].
pub(super) fn audit(turn: &mut Turn<'_>, entry: &AuditEntry) -> Result<(), StoreError> {
    tell(turn, &entry.actor, entry.action, &entry.about, &entry.detail)
}

/// Adds a line, within the transaction of what it tells.
pub(super) fn tell(
    turn: &mut Turn<'_>,
    actor: &Actor,
    action: &str,
    about: &str,
    detail: &str,
) -> Result<(), StoreError> {
    let row = params![
        turn.now.0,
        actor.user.map(|id| id.0.into_bytes()),
        cut(&actor.name, NAME_BYTES_MAX),
        cut(&actor.address, ADDRESS_BYTES_MAX),
        code::via(actor.via),
        cut(action, ACTION_BYTES_MAX),
        cut(about, ABOUT_BYTES_MAX),
        cut(detail, DETAIL_BYTES_MAX),
    ];
    turn.execute(TELL, row)?;
    turn.tally.audit_rows += 1;
    forget(turn, FORGET_MAX)?;
    Ok(())
}

/// Removes lines over the bound, the oldest first, at most `max`; how many.
pub(super) fn forget(turn: &mut Turn<'_>, max: i64) -> Result<i64, StoreError> {
    // A bound of nothing would forget the line that is being told, and the number it had would be given again.
    let most = signed(turn.ground.accounts.audit_rows_max).max(1);
    let excess = (turn.tally.audit_rows - most).min(max);
    if excess <= 0 {
        return Ok(0);
    }
    let gone = turn.execute(FORGET, [excess])?;
    turn.tally.audit_rows -= gone;
    Ok(gone)
}

/// See [`crate::Accounts::audit_log`].
pub(super) fn audit_log(connection: &Connection, query: &AuditQuery) -> Result<Page<AuditRow>, StoreError> {
    let limit = query.limit.min(PAGE_MAX);
    // One more than the page holds tells whether there is more.
    let fetched = limit + 1;
    let before = query.before.map_or(i64::MAX, signed);
    let user = query.user.map(|id| id.0.into_bytes());
    let mut values: Vec<(&str, &dyn ToSql)> = vec![(":before", &before), (":limit", &fetched)];
    if let Some(user) = &user {
        values.push((":user", user));
    }
    if let Some(action) = &query.action {
        values.push((":action", action));
    }
    let text = match (&user, &query.action) {
        (None, None) => ALL,
        (Some(_), None) => OF_USER,
        (None, Some(_)) => OF_ACTION,
        (Some(_), Some(_)) => OF_USER_AND_ACTION,
    };
    let mut statement = prepare(connection, text)?;
    let rows = statement.query_map(values.as_slice(), line)?;
    let mut items: Vec<AuditRow> = rows.collect::<Result<_, _>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    Ok(Page { items, more })
}

fn line(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let user = row.get::<_, Option<[u8; 16]>>(2)?.map(code::user_id);
    let actor = Actor { user, name: row.get(3)?, address: row.get(4)?, via: row.via(5)? };
    Ok(AuditRow {
        n: row.count(0)?,
        at: Timestamp(row.get(1)?),
        actor,
        action: row.get(6)?,
        about: row.get(7)?,
        detail: row.get(8)?,
    })
}

/// At most so many bytes of a text, whole characters. What strangers send is cut and not refused: a long user agent is no reason to
/// keep somebody out.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, bytes, wanted) in
            [("", 3, ""), ("abc", 3, "abc"), ("abcd", 3, "abc"), ("aä", 2, "a"), ("aä", 3, "aä"), ("😀", 3, "")]
        {
            assert_eq!(super::cut(text, bytes), wanted, "{text:?} to {bytes}");
        }
    }
}
