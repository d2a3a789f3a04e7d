//! Logging in, and what there is to see of a session.

use serde::{Deserialize, Serialize};
use staunch_store::SessionRow;
use utoipa::ToSchema;

use super::account::{Role, User};
use super::secret::Secret;
use super::token::Token;

/// The first admin to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupRequest {
    /// What stands behind the `#` of the set-up link.
    pub ticket: Secret,
    /// As for a new user.
    pub name: String,
    /// As for a new user.
    pub password: Secret,
}

/// A login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The user's name, in any case.
    pub name: String,
    /// Their password.
    pub password: Secret,
}

/// A session has begun: its id is in the cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoggedIn {
    /// Whose it is.
    pub user: User,
    /// To be sent as `x-csrf-token` with whatever changes something.
    pub csrf_token: Secret,
    /// When it ends however much it is used.
    pub expires_at: String,
}

/// How a caller is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// By a cookie.
    Session,
    /// By an API token.
    Token,
    /// By being on the same machine, while there is no admin yet.
    Local,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The user's name; `local` for a local caller.
    pub name: String,
    /// What they may do here: of a token, the lesser of its user's role and its scope.
    pub role: Role,
    /// How they are known.
    pub via: KnownBy,
    /// The session, if that is how.
    pub session: Option<Session>,
    /// The token, if that is how.
    pub token: Option<Token>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// What it is named by, `ses_...`. No secret.
    pub handle: String,
    /// When it was begun.
    pub created_at: String,
    /// When it was last used, to the minute.
    pub seen_at: String,
    /// When it ends if it is not used.
    pub expires_at: String,
    /// When it ends however much it is used.
    pub ends_at: String,
    /// The browser, as it called itself.
    pub label: String,
    /// The address where it was begun.
    pub address: String,
    /// Whether it is the caller's own.
    pub current: bool,
}

/// Sessions, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// The sessions.
    pub items: Vec<Session>,
}

/// How many sessions were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionsEnded {
    /// So many.
    pub ended: u64,
}

/// A CSRF token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CsrfToken {
    /// To be sent as `x-csrf-token`.
    pub token: Secret,
}

/// One's own password, to be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The present one; a token of scope admin may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_password: Option<Secret>,
    /// The new one, as for a new user.
    pub new_password: Secret,
}

impl Session {
    /// A session, and whether it is the caller's own.
    pub(crate) fn new(row: &SessionRow, current: bool) -> Self {
        Self {
            handle: row.handle.to_string(),
            created_at: row.created_at.rfc3339(),
            seen_at: row.seen_at.rfc3339(),
            expires_at: row.expires_at.rfc3339(),
            ends_at: row.ends_at.rfc3339(),
            label: row.label.clone(),
            address: row.address.clone(),
            current,
        }
    }
}
