//! How much there is of accounts, and what a sweep took.

use serde::Serialize;

/// What is remembered of users now, expired rows that no sweep has reached included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccountUsage {
    /// Users, disabled ones included.
    pub users: u64,
    /// Sessions.
    pub sessions: u64,
    /// API tokens.
    pub tokens: u64,
    /// Set-up tickets: 0 or 1.
    pub tickets: u64,
    /// Lines of the audit log.
    pub audit_rows: u64,
}

/// What a sweep of accounts removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountsSwept {
    /// Sessions that had expired.
    pub sessions: u64,
    /// Tokens that had expired.
    pub tokens: u64,
    /// Set-up tickets that had expired.
    pub tickets: u64,
    /// Lines of the audit log above a bound that is lower than it once was.
    pub audit_rows: u64,
    /// Whether there is more to sweep.
    pub more: bool,
}
