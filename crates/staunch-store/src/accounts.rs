//! The trait between the server and what is remembered of its users.

use std::time::Duration;

use async_trait::async_trait;

use crate::account::{
    AccountUsage, AccountsSwept, Actor, AuditEntry, AuditQuery, AuditRow, Credentials, Fingerprint, LiveSession,
    LiveToken, NewSession, NewToken, NewUser, SessionBegun, SessionHandle, SessionRow, SetupOpened, SetupRedeemed,
    TokenCreated, TokenId, TokenRow, UserChange, UserChanged, UserCreated, UserDeleted, UserId, UserRow,
};
use crate::error::StoreError;
use crate::record::Page;

/// Users, sessions, API tokens and the audit log. As with [`crate::Store`], each method is one transaction, durable before it returns
/// `Ok`; a caller may be dropped at any await; times come from the store's own clock. What has an [`Actor`] adds a line to the audit
/// log in the same transaction if it changed something, and none if it did not. What has expired is not there for any reader, whether or
/// not a sweep has removed it.
///
/// # Errors
/// Refusals that a user can bring about are outcomes. A [`StoreError::Failed`] says that the caller sent what it must not: a name that is
/// empty or too long, a fingerprint that is taken. Everything else as [`crate::Store`].
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Opens the way to the first admin, for as long as there is none: a ticket that is good once, for `ttl`. It replaces an older one.
    /// Audited as `setup.opened`.
    async fn open_setup(&self, ticket: Fingerprint, ttl: Duration, actor: Actor) -> Result<SetupOpened, StoreError>;
    /// Makes the first admin and uses the ticket up, at once. However many come at the same time, one wins. Audited as `setup.redeemed`.
    async fn redeem_setup(&self, ticket: Fingerprint, user: NewUser, actor: Actor)
    -> Result<SetupRedeemed, StoreError>;
    /// Whether there is an admin who is not disabled. Once there is one, there always is.
    async fn has_admin(&self) -> Result<bool, StoreError>;

    /// Makes a user. Audited as `user.created`.
    async fn create_user(&self, user: NewUser, actor: Actor) -> Result<UserCreated, StoreError>;
    /// Makes an admin, if there is none who is not disabled: of all who try at once, one does. The ticket goes. Audited as `user.created`.
    async fn create_first_admin(&self, user: NewUser, actor: Actor) -> Result<UserCreated, StoreError>;
    /// Users in the order of their names in lower case, from the one after `after` (a page's last name); at most `limit`, at most 200.
    async fn users(&self, after: Option<&str>, limit: u32) -> Result<Page<UserRow>, StoreError>;
    /// A user.
    async fn user(&self, id: UserId) -> Result<Option<UserRow>, StoreError>;
    /// A user by name, in any case, with what their password is verified by. Disabled ones too, so that a login can take its time.
    async fn credentials(&self, name: &str) -> Result<Option<Credentials>, StoreError>;
    /// Changes a user. Audited as `user.changed`.
    async fn change_user(&self, id: UserId, change: UserChange, actor: Actor) -> Result<UserChanged, StoreError>;
    /// Removes a user with their sessions and tokens. Audited as `user.deleted`.
    async fn delete_user(&self, id: UserId, actor: Actor) -> Result<UserDeleted, StoreError>;

    /// Begins a session. If it is refused for want of room, nobody else's was ended. Audited as `session.begun`.
    async fn begin_session(&self, session: NewSession, actor: Actor) -> Result<SessionBegun, StoreError>;
    /// The session that a cookie stands for and whose it is, if it lives and the user is enabled.
    async fn session(&self, key: Fingerprint) -> Result<Option<LiveSession>, StoreError>;
    /// A session is used: its idle end moves on. Whether it lives; so what was revoked elsewhere is noticed. A write each time: ask for it
    /// about once a minute, by [`SessionRow::seen_at`].
    async fn touch_session(&self, key: Fingerprint) -> Result<bool, StoreError>;
    /// Ends a session: somebody logs out. Whether it lived. Audited as `session.ended`.
    async fn end_session(&self, key: Fingerprint, actor: Actor) -> Result<bool, StoreError>;
    /// Gives a session another key; the old one is worthless from then on. Its ends and its handle stay. Whether it lived. Audited as
    /// `session.rotated`.
    async fn rotate_session(&self, old: Fingerprint, new: Fingerprint, actor: Actor) -> Result<bool, StoreError>;
    /// A user's live sessions, the newest first; there are at most [`crate::AccountLimits::sessions_per_user_max`].
    async fn sessions(&self, user: UserId) -> Result<Vec<SessionRow>, StoreError>;
    /// Ends one session of a user. Whether it lived. Audited as `session.revoked`.
    async fn revoke_session(&self, user: UserId, handle: SessionHandle, actor: Actor) -> Result<bool, StoreError>;
    /// Ends all sessions of a user but one; how many. Audited as one `session.revoked`.
    async fn revoke_sessions(&self, user: UserId, keep: Option<SessionHandle>, actor: Actor)
    -> Result<u64, StoreError>;

    /// Remembers an API token. Audited as `token.created`.
    async fn create_token(&self, token: NewToken, actor: Actor) -> Result<TokenCreated, StoreError>;
    /// The token of this fingerprint and whose it is, if it has not expired and the user is enabled.
    async fn token(&self, hash: Fingerprint) -> Result<Option<LiveToken>, StoreError>;
    /// A token is used. Written at most once a minute a token. Whether it works.
    async fn touch_token(&self, id: TokenId) -> Result<bool, StoreError>;
    /// A user's tokens that have not expired, the newest first; there are at most [`crate::AccountLimits::tokens_per_user_max`].
    async fn tokens(&self, user: UserId) -> Result<Vec<TokenRow>, StoreError>;
    /// Removes a token; if `owner` is given, only one of that user. Whether there was one. Audited as `token.revoked`.
    async fn revoke_token(&self, id: TokenId, owner: Option<UserId>, actor: Actor) -> Result<bool, StoreError>;

    /// Adds a line to the audit log. The oldest go if there are too many.
    async fn audit(&self, entry: AuditEntry) -> Result<(), StoreError>;
    /// Lines of the audit log, the newest first.
    async fn audit_log(&self, query: AuditQuery) -> Result<Page<AuditRow>, StoreError>;

    /// Removes what has expired, at most `max` rows of each kind.
    async fn sweep_accounts(&self, max: u32) -> Result<AccountsSwept, StoreError>;
    /// How much there is.
    async fn account_usage(&self) -> Result<AccountUsage, StoreError>;
}
