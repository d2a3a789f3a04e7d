//! API tokens.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{TokenId, UserId};
use super::secret::Fingerprint;
use super::user::UserRow;
use crate::id::Timestamp;

/// What a token may be used for; each includes those before it. A token never may what its user may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// To look.
    Read,
    /// To start and stop runs.
    Run,
    /// Everything.
    Admin,
}

/// A token to be remembered.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Whose.
    pub user: UserId,
    /// What its user calls it. 1 to 128 bytes.
    pub name: String,
    /// Its first characters, by which people tell it from others. At most 16 bytes, never enough to guess the rest.
    pub shown: String,
    /// The fingerprint of the whole token.
    pub hash: Fingerprint,
    /// What it may be used for.
    pub scope: Scope,
    /// It expires after this long; `None`: never.
    pub ttl: Option<Duration>,
    /// It expires then at the latest, whatever `ttl` says: when what made it does.
    pub no_later: Option<Timestamp>,
}

/// What became of a token to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCreated {
    /// It works.
    Created(TokenRow),
    /// There is no such user, or they are disabled.
    NoUser,
    /// The user has as many tokens as one may have.
    Full {
        /// Tokens of one user.
        limit: u64,
    },
}

/// A token, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// Whose.
    pub user: UserId,
    /// What its user calls it.
    pub name: String,
    /// Its first characters.
    pub shown: String,
    /// What it may be used for.
    pub scope: Scope,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A token that works, with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveToken {
    /// The token.
    pub token: TokenRow,
    /// Its user, who is enabled.
    pub user: UserRow,
}

impl Scope {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Run, Self::Admin];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Admin => "admin",
        }
    }
}
