//! The audit log.

use serde::{Deserialize, Serialize};
use staunch_store::AuditRow;
use utoipa::ToSchema;

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditLine {
    /// Its number; grows from line to line.
    pub n: u64,
    /// When.
    pub at: String,
    /// What whoever did it is called: a user's name, the name that was tried, `local`, `server`.
    pub actor: String,
    /// From which address.
    pub address: String,
    /// How they came in: `anonymous`, `session`, `token`, `cli` (the same machine, before there was an admin), `server`.
    pub via: String,
    /// What they did: `user.created`, `login.failed`, ...
    pub action: String,
    /// To what: a name or an id.
    pub about: String,
    /// What else there is to say.
    pub detail: String,
}

/// A page of the audit log, the newest line first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The lines.
    pub items: Vec<AuditLine>,
    /// `cursor` of the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl From<AuditRow> for AuditLine {
    fn from(row: AuditRow) -> Self {
        Self {
            n: row.n,
            at: row.at.rfc3339(),
            actor: row.actor.name,
            address: row.actor.address,
            via: row.actor.via.word().to_owned(),
            action: row.action,
            about: row.about,
            detail: row.detail,
        }
    }
}
