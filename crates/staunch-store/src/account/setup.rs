//! The way to the first admin.

use super::user::UserRow;
use crate::id::Timestamp;

/// What became of a set-up ticket to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupOpened {
    /// It is the one ticket now; an older one is worthless.
    Opened {
        /// When it expires.
        expires_at: Timestamp,
    },
    /// There is an admin already.
    AdminExists,
}

/// What became of a set-up ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupRedeemed {
    /// The first admin exists, and the ticket is used up.
    Created(UserRow),
    /// There is no such ticket: it was never opened, was replaced, was used or was swept after its expiry.
    Unknown,
    /// It was the ticket, but its time is over.
    Expired,
    /// There is an admin already. What is said to whoever comes second with the right ticket, and to anybody else.
    AdminExists,
    /// Somebody who is no admin has this name. The ticket stays.
    NameTaken,
    /// There are as many users as there may be. The ticket stays.
    Full {
        /// Users.
        limit: u64,
    },
}
