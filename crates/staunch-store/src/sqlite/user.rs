//! Users.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit::tell;
use super::code::{self, Columns};
use super::statement::{prepare, statements};
use super::turn::{Turn, signed};
use super::{session, setup};
use crate::account::{
    Actor, Credentials, NewUser, PasswordHash, Role, UserChange, UserChanged, UserCreated, UserDeleted, UserId, UserRow,
};
use crate::error::StoreError;
use crate::id::Timestamp;
use crate::record::Page;

/// A SELECT of whole users.
macro_rules! users {
    ($filter:literal) => {
        concat!(
            "SELECT id, name, role, disabled, created_at, password_changed_at, n, password FROM user WHERE ",
            $filter
        )
    };
}

statements! {
    ADMIN_BESIDES = "SELECT 1 FROM user INDEXED BY user_by_role WHERE role = 2 AND disabled = 0 AND n <> ?1 LIMIT 1";
    TAKEN = "SELECT 1 FROM user WHERE folded = ?1";
    MAKE = "INSERT INTO user (id, name, folded, role, disabled, password, created_at, password_changed_at)
        VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?6)";
    BY_ID = users!("id = ?1");
    BY_NAME = users!("folded = ?1");
    PAGE = users!("folded > ?1 ORDER BY folded LIMIT ?2");
    CHANGE = "UPDATE user SET role = ?2, disabled = ?3, password = coalesce(?4, password), password_changed_at = ?5
        WHERE n = ?1";
    FORGET_TOKENS = "DELETE FROM token WHERE user = ?1";
    FORGET = "DELETE FROM user WHERE n = ?1";
}

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of a hashed password: the PHC strings of argon2 have about 100.
const PASSWORD_BYTES_MAX: usize = 512;
/// Users on a page, at most.
const PAGE_MAX: u32 = 200;
/// A row's number that no row has.
const NOBODY: i64 = 0;

/// See [`crate::Accounts::has_admin`].
pub(super) fn has_admin(connection: &Connection) -> Result<bool, StoreError> {
    admin_besides(connection, NOBODY)
}

/// Whether an admin can log in who is not this one.
fn admin_besides(connection: &Connection, n: i64) -> Result<bool, StoreError> {
    Ok(prepare(connection, ADMIN_BESIDES)?.exists([n])?)
}

/// See [`crate::Accounts::create_user`].
pub(super) fn create(turn: &mut Turn<'_>, user: &NewUser, actor: &Actor) -> Result<UserCreated, StoreError> {
    let created = insert(turn, user)?;
    if let UserCreated::Created(row) = &created {
        tell(turn, actor, "user.created", &row.name, row.role.word())?;
    }
    Ok(created)
}

/// See [`crate::Accounts::create_first_admin`]. The writer takes one after the other, so the second finds an admin.
pub(super) fn create_first(turn: &mut Turn<'_>, user: NewUser, actor: &Actor) -> Result<UserCreated, StoreError> {
    if has_admin(turn.connection)? {
        return Ok(UserCreated::AdminExists);
    }
    let created = create(turn, &NewUser { role: Role::Admin, ..user }, actor)?;
    if let UserCreated::Created(_) = created {
        setup::end(turn)?;
    }
    Ok(created)
}

/// Makes a user, if there is room and the name is free.
pub(super) fn insert(turn: &mut Turn<'_>, user: &NewUser) -> Result<UserCreated, StoreError> {
    turn.ground.directory.is_there()?;
    bounded("a user's name", &user.name, NAME_BYTES_MAX)?;
    bounded("a hashed password", user.password.as_str(), PASSWORD_BYTES_MAX)?;
    let folded = user.name.to_lowercase();
    if turn.sql(TAKEN)?.exists([&folded])? {
        return Ok(UserCreated::NameTaken);
    }
    let limit = turn.ground.accounts.users_max;
    if turn.tally.users >= signed(limit) {
        return Ok(UserCreated::Full { limit });
    }
    let id = UserId::generate();
    let row = params![id.0.as_bytes(), user.name, folded, code::role(user.role), user.password.as_str(), turn.now.0];
    turn.execute(MAKE, row)?;
    turn.tally.users += 1;
    Ok(UserCreated::Created(UserRow {
        id,
        name: user.name.clone(),
        role: user.role,
        disabled: false,
        created_at: turn.now,
        password_changed_at: turn.now,
    }))
}

/// See [`crate::Accounts::users`].
pub(super) fn users(connection: &Connection, after: Option<&str>, limit: u32) -> Result<Page<UserRow>, StoreError> {
    let limit = limit.min(PAGE_MAX);
    // One more than the page holds tells whether there is more. No name is empty, so all are after the empty one.
    let after = after.unwrap_or_default().to_lowercase();
    let mut statement = prepare(connection, PAGE)?;
    let rows = statement.query_map(params![after, limit + 1], user_row)?;
    let mut items: Vec<UserRow> = rows.collect::<Result<_, _>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    Ok(Page { items, more })
}

/// See [`crate::Accounts::user`].
pub(super) fn user(connection: &Connection, id: UserId) -> Result<Option<UserRow>, StoreError> {
    Ok(prepare(connection, BY_ID)?.query_row([id.0.as_bytes()], user_row).optional()?)
}

/// A user with the number of their row.
pub(super) fn numbered(connection: &Connection, id: UserId) -> Result<Option<(i64, UserRow)>, StoreError> {
    let row =
        prepare(connection, BY_ID)?.query_row([id.0.as_bytes()], |row| Ok((row.get(6)?, user_row(row)?))).optional()?;
    Ok(row)
}

/// See [`crate::Accounts::credentials`].
pub(super) fn credentials(connection: &Connection, name: &str) -> Result<Option<Credentials>, StoreError> {
    let found = prepare(connection, BY_NAME)?.query_row([name.to_lowercase()], |row| {
        Ok(Credentials { user: user_row(row)?, password: PasswordHash::new(row.get::<_, String>(7)?) })
    });
    Ok(found.optional()?)
}

/// See [`crate::Accounts::change_user`].
pub(super) fn change(
    turn: &mut Turn<'_>,
    id: UserId,
    change: &UserChange,
    actor: &Actor,
) -> Result<UserChanged, StoreError> {
    if let Some(password) = &change.password {
        bounded("a hashed password", password.as_str(), PASSWORD_BYTES_MAX)?;
    }
    let Some((n, was)) = numbered(turn.connection, id)? else { return Ok(UserChanged::Unknown) };
    let mut user = UserRow {
        role: change.role.unwrap_or(was.role),
        disabled: change.disabled.unwrap_or(was.disabled),
        ..was.clone()
    };
    if is_admin(&was) && !is_admin(&user) && !admin_besides(turn.connection, n)? {
        return Ok(UserChanged::LastAdmin);
    }
    if change.password.is_some() {
        // Two changes in one millisecond differ all the same: a login proves its password by this time.
        user.password_changed_at = turn.now.max(Timestamp(was.password_changed_at.0.saturating_add(1)));
    }
    if user == was {
        return Ok(UserChanged::Same(user));
    }
    let password = change.password.as_ref().map(PasswordHash::as_str);
    let row = params![n, code::role(user.role), user.disabled, password, user.password_changed_at.0];
    turn.execute(CHANGE, row)?;
    let only_enabled = was.disabled && !user.disabled && was.role == user.role && password.is_none();
    let keep = if user.disabled { None } else { change.keep };
    let sessions_ended = if only_enabled { 0 } else { session::end_all_of(turn, n, keep)? };
    tell(turn, actor, "user.changed", &user.name, &what_changed(&was, &user))?;
    Ok(UserChanged::Changed { user, sessions_ended })
}

/// See [`crate::Accounts::delete_user`].
pub(super) fn delete(turn: &mut Turn<'_>, id: UserId, actor: &Actor) -> Result<UserDeleted, StoreError> {
    let Some((n, user)) = numbered(turn.connection, id)? else { return Ok(UserDeleted::Unknown) };
    if is_admin(&user) && !admin_besides(turn.connection, n)? {
        return Ok(UserDeleted::LastAdmin);
    }
    session::end_all_of(turn, n, None)?;
    turn.tally.tokens -= turn.execute(FORGET_TOKENS, [n])?;
    turn.tally.users -= turn.execute(FORGET, [n])?;
    tell(turn, actor, "user.deleted", &user.name, &id.to_string())?;
    Ok(UserDeleted::Deleted)
}

/// Whether they are an admin who can log in.
fn is_admin(user: &UserRow) -> bool {
    user.role == Role::Admin && !user.disabled
}

/// For the audit log: `role viewer to admin, disabled, password`.
fn what_changed(was: &UserRow, is: &UserRow) -> String {
    let mut changes = Vec::new();
    if was.role != is.role {
        changes.push(format!("role {} to {}", was.role.word(), is.role.word()));
    }
    if was.disabled != is.disabled {
        changes.push(if is.disabled { "disabled" } else { "enabled" }.to_owned());
    }
    if was.password_changed_at != is.password_changed_at {
        changes.push("password".to_owned());
    }
    changes.join(", ")
}

/// The first columns of [`users!`].
fn user_row(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    user_from(row, 0)
}

/// A user in six columns: id, name, role, disabled, `created_at`, `password_changed_at`.
pub(super) fn user_from(row: &Row<'_>, first: usize) -> rusqlite::Result<UserRow> {
    Ok(UserRow {
        id: code::user_id(row.get(first)?),
        name: row.get(first + 1)?,
        role: row.role(first + 2)?,
        disabled: row.get(first + 3)?,
        created_at: Timestamp(row.get(first + 4)?),
        password_changed_at: Timestamp(row.get(first + 5)?),
    })
}

/// Refuses a text that is empty or too long, without repeating it: it may be a secret.
pub(super) fn bounded(what: &str, text: &str, bytes_max: usize) -> Result<(), StoreError> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(StoreError::Failed(format!("{what} has 1 to {bytes_max} bytes, and this one has {}", text.len())));
    }
    Ok(())
}
