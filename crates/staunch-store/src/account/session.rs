//! Logged-in browsers.

use std::time::Duration;

use super::id::{SessionHandle, UserId};
use super::secret::Fingerprint;
use super::user::UserRow;
use crate::id::Timestamp;

/// A session to begin.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The fingerprint of what is in the cookie.
    pub key: Fingerprint,
    /// Whose.
    pub user: UserId,
    /// When the password that was proven was set ([`UserRow::password_changed_at`]): if it was changed while it was being verified, the
    /// session is not begun.
    pub password_changed_at: Timestamp,
    /// It ends this long after it was last touched.
    pub idle: Duration,
    /// It ends this long after it began, however much it is used.
    pub absolute: Duration,
    /// What it is shown as: the user agent. At most 200 bytes; longer ones are cut.
    pub label: String,
    /// Where it was begun, as text. At most 64 bytes; longer ones are cut.
    pub address: String,
}

/// What became of a session to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionBegun {
    /// It lives.
    Begun(SessionRow),
    /// There is no such user, or they are disabled, or the password is another one by now. Nothing was begun.
    Refused,
    /// The user has as many sessions as one may have. They can end one of theirs.
    UserFull {
        /// Sessions of one user.
        limit: u64,
    },
    /// There are as many sessions as there may be.
    Full {
        /// Sessions of all users.
        limit: u64,
    },
}

/// A session, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// What it is named by. It keeps it when its key is rotated.
    pub handle: SessionHandle,
    /// Whose.
    pub user: UserId,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last touched.
    pub seen_at: Timestamp,
    /// When it ends if it is not touched: the nearer of its two ends.
    pub expires_at: Timestamp,
    /// When it ends however often it is touched.
    pub ends_at: Timestamp,
    /// What it is shown as.
    pub label: String,
    /// Where it was begun.
    pub address: String,
}

/// A session that lives, with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSession {
    /// The session.
    pub session: SessionRow,
    /// Its user, who is enabled.
    pub user: UserRow,
}
