//! Whether the server is well.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the server is ready, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether runs are accepted and executed.
    pub ready: bool,
    /// What was looked at; only if asked for with `verbose`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What was seen, in words.
    pub detail: String,
}
