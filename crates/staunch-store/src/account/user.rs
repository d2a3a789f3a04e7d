//! People who may log in.

use serde::{Deserialize, Serialize};

use super::id::{SessionHandle, UserId};
use super::secret::PasswordHash;
use crate::id::Timestamp;

/// What a user may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// To look.
    Viewer,
    /// To start and stop runs.
    Operator,
    /// Everything.
    Admin,
}

/// A user to be made. For [`crate::Accounts::redeem_setup`] the role is always admin, whatever is said here.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// What they log in with. 1 to 128 bytes; the caller says which characters. Two names that differ in case only are the same.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Their password, hashed.
    pub password: PasswordHash,
}

/// A user, as everybody may see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Their id.
    pub id: UserId,
    /// What they log in with, as it was written first.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they are kept out: no session, no token works.
    pub disabled: bool,
    /// When they were made.
    pub created_at: Timestamp,
    /// When their password was set last. Never twice the same for one user.
    pub password_changed_at: Timestamp,
}

/// A user with what their password is verified by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user, disabled or not.
    pub user: UserRow,
    /// Their password, hashed.
    pub password: PasswordHash,
}

/// What is to change of a user. A password, another role, or being disabled ends all their sessions but one.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// What they may do from now on.
    pub role: Option<Role>,
    /// Whether they are kept out from now on.
    pub disabled: Option<bool>,
    /// Their new password, hashed.
    pub password: Option<PasswordHash>,
    /// The session that lives on: the one that asks. Not heard if the user is disabled.
    pub keep: Option<SessionHandle>,
}

/// What became of a user to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserCreated {
    /// They can log in.
    Created(UserRow),
    /// Somebody has this name.
    NameTaken,
    /// There are as many users as there may be.
    Full {
        /// Users.
        limit: u64,
    },
    /// Only of [`crate::Accounts::create_first_admin`]: there is an admin by now.
    AdminExists,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserChanged {
    /// It is done.
    Changed {
        /// The user now.
        user: UserRow,
        /// How many of their sessions were ended.
        sessions_ended: u64,
    },
    /// They are so already: nothing was done, and nothing noted.
    Same(UserRow),
    /// There is no such user.
    Unknown,
    /// No admin would be left who can log in. Nothing was changed.
    LastAdmin,
}

/// What became of a user to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserDeleted {
    /// They are gone, with their sessions and tokens. What they did stays in the audit log.
    Deleted,
    /// There is no such user.
    Unknown,
    /// No admin would be left who can log in. Nothing was changed.
    LastAdmin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}
