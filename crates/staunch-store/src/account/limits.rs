//! The bounds of accounts.

/// Bounds of what is remembered of users. The engine's `limits.rs` is to fill this in from the one table of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountLimits {
    /// Users; one more is refused.
    pub users_max: u64,
    /// Sessions of all users; one more is refused, nobody's is ended for it.
    pub sessions_max: u64,
    /// Sessions of one user; one more is refused.
    pub sessions_per_user_max: u64,
    /// API tokens of one user; one more is refused.
    pub tokens_per_user_max: u64,
    /// Lines of the audit log; the oldest go. At least 1.
    pub audit_rows_max: u64,
}

impl Default for AccountLimits {
    /// A thousand users. Ten sessions each is csrf.md's figure for one person's devices, fifty tokens GitHub's order of magnitude. A
    /// line of the audit log is at most about 1.1 KB with its indexes, usually 250 bytes: 100,000 lines are about 25 MB of disk.
    fn default() -> Self {
        Self {
            users_max: 1_000,
            sessions_max: 10_000,
            sessions_per_user_max: 10,
            tokens_per_user_max: 50,
            audit_rows_max: 100_000,
        }
    }
}
