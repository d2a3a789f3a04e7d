//! [`Accounts`] for [`Sqlite`]: which operation goes to the writer and which to a reader.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

use super::tally::Tally;
use super::{Sqlite, audit, expiry, session, setup, token, user};
use crate::account::{
    AccountUsage, AccountsSwept, Actor, AuditEntry, AuditQuery, AuditRow, Credentials, Fingerprint, LiveSession,
    LiveToken, NewSession, NewToken, NewUser, SessionBegun, SessionHandle, SessionRow, SetupOpened, SetupRedeemed,
    TokenCreated, TokenId, TokenRow, UserChange, UserChanged, UserCreated, UserDeleted, UserId, UserRow,
};
use crate::accounts::Accounts;
use crate::error::StoreError;
use crate::id::Timestamp;
use crate::record::Page;

impl Sqlite {
    /// Has `work` done by a reader that knows the time: the wall clock's, or the newest this store ever told if that is later, so that
    /// nothing that has expired for the writer comes back for a reader.
    async fn read_now<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, Timestamp) -> Result<T, StoreError> + Send + 'static,
    {
        let wall = self.ground.clock.wall();
        self.read(move |connection| work(connection, Tally::told(connection)?.max(wall))).await
    }
}

#[async_trait]
impl Accounts for Sqlite {
    async fn open_setup(&self, ticket: Fingerprint, ttl: Duration, actor: Actor) -> Result<SetupOpened, StoreError> {
        self.write(move |turn| setup::open(turn, ticket, ttl, &actor)).await
    }

    async fn redeem_setup(
        &self,
        ticket: Fingerprint,
        user: NewUser,
        actor: Actor,
    ) -> Result<SetupRedeemed, StoreError> {
        self.write(move |turn| setup::redeem(turn, ticket, user, &actor)).await
    }

    async fn has_admin(&self) -> Result<bool, StoreError> {
        self.read(user::has_admin).await
    }

    async fn create_user(&self, user: NewUser, actor: Actor) -> Result<UserCreated, StoreError> {
        self.write(move |turn| user::create(turn, &user, &actor)).await
    }

    async fn create_first_admin(&self, user: NewUser, actor: Actor) -> Result<UserCreated, StoreError> {
        self.write(move |turn| user::create_first(turn, user, &actor)).await
    }

    async fn users(&self, after: Option<&str>, limit: u32) -> Result<Page<UserRow>, StoreError> {
        let after = after.map(str::to_owned);
        self.read(move |connection| user::users(connection, after.as_deref(), limit)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<UserRow>, StoreError> {
        self.read(move |connection| user::user(connection, id)).await
    }

    async fn credentials(&self, name: &str) -> Result<Option<Credentials>, StoreError> {
        let name = name.to_owned();
        self.read(move |connection| user::credentials(connection, &name)).await
    }

    async fn change_user(&self, id: UserId, change: UserChange, actor: Actor) -> Result<UserChanged, StoreError> {
        self.write(move |turn| user::change(turn, id, &change, &actor)).await
    }

    async fn delete_user(&self, id: UserId, actor: Actor) -> Result<UserDeleted, StoreError> {
        self.write(move |turn| user::delete(turn, id, &actor)).await
    }

    async fn begin_session(&self, session: NewSession, actor: Actor) -> Result<SessionBegun, StoreError> {
        self.write(move |turn| session::begin(turn, &session, &actor)).await
    }

    async fn session(&self, key: Fingerprint) -> Result<Option<LiveSession>, StoreError> {
        self.read_now(move |connection, now| session::session(connection, key, now)).await
    }

    async fn touch_session(&self, key: Fingerprint) -> Result<bool, StoreError> {
        self.write(move |turn| session::touch(turn, key)).await
    }

    async fn end_session(&self, key: Fingerprint, actor: Actor) -> Result<bool, StoreError> {
        self.write(move |turn| session::end(turn, key, &actor)).await
    }

    async fn rotate_session(&self, old: Fingerprint, new: Fingerprint, actor: Actor) -> Result<bool, StoreError> {
        self.write(move |turn| session::rotate(turn, old, new, &actor)).await
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<SessionRow>, StoreError> {
        self.read_now(move |connection, now| session::sessions(connection, user, now)).await
    }

    async fn revoke_session(&self, user: UserId, handle: SessionHandle, actor: Actor) -> Result<bool, StoreError> {
        self.write(move |turn| session::revoke(turn, user, handle, &actor)).await
    }

    async fn revoke_sessions(
        &self,
        user: UserId,
        keep: Option<SessionHandle>,
        actor: Actor,
    ) -> Result<u64, StoreError> {
        self.write(move |turn| session::revoke_all(turn, user, keep, &actor)).await
    }

    async fn create_token(&self, token: NewToken, actor: Actor) -> Result<TokenCreated, StoreError> {
        self.write(move |turn| token::create(turn, &token, &actor)).await
    }

    async fn token(&self, hash: Fingerprint) -> Result<Option<LiveToken>, StoreError> {
        self.read_now(move |connection, now| token::token(connection, hash, now)).await
    }

    async fn touch_token(&self, id: TokenId) -> Result<bool, StoreError> {
        // A reader looks first, so that a client that asks all the time does not keep the writer busy with nothing.
        match self.read_now(move |connection, now| token::used(connection, id, now)).await? {
            token::Use::Dead => Ok(false),
            token::Use::Fresh => Ok(true),
            token::Use::Due => self.write(move |turn| token::touch(turn, id)).await,
        }
    }

    async fn tokens(&self, user: UserId) -> Result<Vec<TokenRow>, StoreError> {
        self.read_now(move |connection, now| token::tokens(connection, user, now)).await
    }

    async fn revoke_token(&self, id: TokenId, owner: Option<UserId>, actor: Actor) -> Result<bool, StoreError> {
        self.write(move |turn| token::revoke(turn, id, owner, &actor)).await
    }

    async fn audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.write(move |turn| audit::audit(turn, &entry)).await
    }

    async fn audit_log(&self, query: AuditQuery) -> Result<Page<AuditRow>, StoreError> {
        self.read(move |connection| audit::audit_log(connection, &query)).await
    }

    async fn sweep_accounts(&self, max: u32) -> Result<AccountsSwept, StoreError> {
        self.write(move |turn| expiry::sweep(turn, max)).await
    }

    async fn account_usage(&self) -> Result<AccountUsage, StoreError> {
        self.read(expiry::usage).await
    }
}
