//! Users, as the API shows them and takes them.

use serde::{Deserialize, Serialize};
use staunch_store::UserRow;
use utoipa::ToSchema;

use super::secret::Secret;

/// What a user may do; each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// To look.
    #[default]
    Viewer,
    /// To start and stop runs.
    Operator,
    /// Everything.
    Admin,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// What they log in with.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they are kept out.
    pub disabled: bool,
    /// When they were made.
    pub created_at: String,
    /// When their password was set last.
    pub password_changed_at: String,
}

/// A page of users, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserPage {
    /// The users.
    pub items: Vec<User>,
    /// `after` of the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A user to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// 1 to 64 of letters, digits, `.`, `_`, `@`, `-`, beginning with a letter or digit. In any case it is the same user.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// 12 to 256 bytes of UTF-8, compared as they are: no Unicode normalisation is applied.
    pub password: Secret,
    /// The password of whoever asks, if they ask with a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_password: Option<Secret>,
}

/// What is to change of a user. A password, another role, or being disabled ends their sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// What they may do from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Whether they are kept out from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Their new password, as for a new user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The password of whoever asks, if they ask with a session for a password, a role above viewer or an end of being kept out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_password: Option<Secret>,
}

impl Role {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl From<staunch_store::Role> for Role {
    fn from(role: staunch_store::Role) -> Self {
        match role {
            staunch_store::Role::Viewer => Self::Viewer,
            staunch_store::Role::Operator => Self::Operator,
            staunch_store::Role::Admin => Self::Admin,
        }
    }
}

impl From<Role> for staunch_store::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<&UserRow> for User {
    fn from(row: &UserRow) -> Self {
        Self {
            name: row.name.clone(),
            role: row.role.into(),
            disabled: row.disabled,
            created_at: row.created_at.rfc3339(),
            password_changed_at: row.password_changed_at.rfc3339(),
        }
    }
}
