//! Who did what.

use serde::Serialize;

use super::id::UserId;
use crate::id::Timestamp;

/// Who asks for a change. Told in the audit log; the store does not ask whether they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user, if it is one.
    pub user: Option<UserId>,
    /// What they are called, also after the user is gone: a user's name, the name that was tried, `cli`, ... At most 128 bytes; longer
    /// ones are cut.
    pub name: String,
    /// Where they are, as text: the client's address. At most 64 bytes; longer ones are cut.
    pub address: String,
    /// How they came in.
    pub via: Via,
}

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Without proof of who they are: a login that failed, the set-up link.
    Anonymous,
    /// With a session.
    Session,
    /// With an API token.
    Token,
    /// With a shell on the server.
    Cli,
    /// Nobody: the server itself.
    Server,
}

/// Something to be remembered that is no operation of [`crate::Accounts`]: a login that failed, a run that was submitted.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Who.
    pub actor: Actor,
    /// What they did: `login.failed`, `run.submitted`, ... At most 64 bytes; longer ones are cut.
    pub action: &'static str,
    /// To what: a name or an id. At most 200 bytes; longer ones are cut.
    pub about: String,
    /// What else there is to say, for people; never a secret. At most 500 bytes; longer ones are cut.
    pub detail: String,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number. Grows from line to line; a page's cursor.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What they did.
    pub action: String,
    /// To what.
    pub about: String,
    /// What else there is to say.
    pub detail: String,
}

/// Which lines of the audit log to list: newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Only what this user did.
    pub user: Option<UserId>,
    /// Only this action.
    pub action: Option<String>,
    /// Only those before this one (a page's last number).
    pub before: Option<u64>,
    /// At most this many; at most 200.
    pub limit: u32,
}

impl Via {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Anonymous, Self::Session, Self::Token, Self::Cli, Self::Server];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Session => "session",
            Self::Token => "token",
            Self::Cli => "cli",
            Self::Server => "server",
        }
    }
}

impl Actor {
    /// The server itself.
    pub fn server() -> Self {
        Self { user: None, name: "server".to_owned(), address: String::new(), via: Via::Server }
    }
}
