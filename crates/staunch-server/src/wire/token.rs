//! API tokens.

use serde::{Deserialize, Serialize};
use staunch_store::TokenRow;
use utoipa::ToSchema;

use super::secret::Secret;

/// What a token may be used for; each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// To look.
    #[default]
    Read,
    /// To start and stop runs.
    Run,
    /// Everything that its user may.
    Admin,
}

/// A token to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is called, 1 to 128 bytes.
    pub name: String,
    /// What it may be used for; never more than its user's role.
    pub scope: Scope,
    /// It expires after so many days, 1 to 3660; never if null or left out. Not later than the token that makes it.
    #[serde(default)]
    pub expires_in_days: Option<u32>,
    /// The user's password; a token of scope admin may leave it out while its user is an admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_password: Option<Secret>,
}

/// A token that was made. It is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenCreated {
    /// Its id, `tok_...`.
    pub id: String,
    /// The token itself, `stn_...`: to be sent as `Authorization: Bearer`.
    pub token: Secret,
    /// Its first characters, by which it is told from others.
    pub prefix: String,
    /// What it may be used for.
    pub scope: Scope,
    /// When it expires; null: never.
    pub expires_at: Option<String>,
}

/// A token, without itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id, `tok_...`.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it may be used for.
    pub scope: Scope,
    /// When it was made.
    pub created_at: String,
    /// When it expires; null: never.
    pub expires_at: Option<String>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<String>,
}

/// Tokens, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// The tokens.
    pub items: Vec<Token>,
}

impl Scope {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Admin => "admin",
        }
    }
}

impl From<staunch_store::Scope> for Scope {
    fn from(scope: staunch_store::Scope) -> Self {
        match scope {
            staunch_store::Scope::Read => Self::Read,
            staunch_store::Scope::Run => Self::Run,
            staunch_store::Scope::Admin => Self::Admin,
        }
    }
}

impl From<Scope> for staunch_store::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Run => Self::Run,
            Scope::Admin => Self::Admin,
        }
    }
}

impl From<&TokenRow> for Token {
    fn from(row: &TokenRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            prefix: row.shown.clone(),
            scope: row.scope.into(),
            created_at: row.created_at.rfc3339(),
            expires_at: row.expires_at.map(|at| at.rfc3339()),
            last_used_at: row.last_used_at.map(|at| at.rfc3339()),
        }
    }
}
