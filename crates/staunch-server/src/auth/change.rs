//! Changes of users, and what is forgotten with them in the same step.

use http::HeaderValue;
use staunch_store::{
    NewUser, Role, SessionHandle, StoreError, TokenId, UserChange, UserChanged, UserCreated, UserDeleted, UserId,
    UserRow,
};

use super::Auth;
use super::caller::{Caller, Principal};
use super::login::is_name;
use super::secret::Ticket;
use super::session::Sessions;
use super::tokens::ApiTokens;
use super::visitor::Visitor;
use crate::problem::{Code, Refusal};
use crate::wire::{self, Secret};

impl Auth {
    /// The user of this name.
    ///
    /// # Errors
    /// 404.
    pub(crate) async fn user(&self, name: &str) -> Result<UserRow, Refusal> {
        let found = if is_name(name) { self.accounts.credentials(name).await? } else { None };
        found.map(|found| found.user).ok_or_else(|| Refusal::new(Code::UnknownUser))
    }

    /// Makes a user. While there is no admin, an admin, and the server is closed from then on.
    ///
    /// # Errors
    /// As [`Auth::prove_again`]; 409 `admin_first` or `user_exists`, 422, 503 `users_full`.
    pub(crate) async fn create_user(
        &self,
        asked: &wire::NewUser,
        caller: &Caller,
        visitor: &Visitor,
    ) -> Result<UserRow, Refusal> {
        let wire::NewUser { name, role, password, current_password } = asked;
        let (role, actor) = (Role::from(*role), caller.actor(visitor));
        if !is_name(name) {
            return Err(Refusal::new(Code::InvalidName));
        }
        let first = matches!(caller.principal, Principal::Local(_));
        if first && role != Role::Admin {
            return Err(Refusal::new(Code::AdminFirst));
        }
        self.prove_again(caller, current_password.as_ref(), visitor).await?;
        let password = self.passwords.hash(password).await?;
        let user = NewUser { name: name.to_owned(), role, password };
        if first {
            self.mode.doubt();
        }
        let created = self.see_through(caller, move |accounts, _, _| async move {
            // Whoever was let in because there was no admin makes one only as long as that is so: the server may have closed since.
            if first { accounts.create_first_admin(user, actor).await } else { accounts.create_user(user, actor).await }
        });
        match created.await? {
            UserCreated::Created(user) => {
                if first {
                    self.mode.close();
                }
                Ok(user)
            }
            UserCreated::AdminExists => {
                self.mode.close();
                Err(Refusal::new(Code::Unauthenticated))
            }
            UserCreated::NameTaken => Err(Refusal::new(Code::UserExists)),
            UserCreated::Full { limit } => Err(Refusal::new(Code::UsersFull).detail(format_args!("{limit} at most"))),
        }
    }

    /// Changes a user as an admin asks. What gives somebody a way in, or more to do, takes more than a cookie.
    ///
    /// # Errors
    /// 404, 409 `last_admin`, 422; as [`Auth::prove_again`].
    pub(crate) async fn patch_user(
        &self,
        name: &str,
        asked: &wire::UserPatch,
        caller: &Caller,
        visitor: &Visitor,
    ) -> Result<UserRow, Refusal> {
        let user = self.user(name).await?;
        let role = asked.role.map(Role::from);
        // By what is asked for alone: what the user is may be another by the time the store has its turn.
        let gives =
            asked.password.is_some() || role.is_some_and(|role| role > Role::Viewer) || asked.disabled == Some(false);
        if gives {
            self.prove_again(caller, asked.current_password.as_ref(), visitor).await?;
        }
        let password = match &asked.password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        let own = caller.session().filter(|session| session.live.user.id == user.id);
        let keep = own.map(|session| session.live.session.handle);
        let change = UserChange { role, disabled: asked.disabled, password, keep };
        self.change_user(user.id, change, caller, visitor).await
    }

    /// Changes a user; their sessions end with it, but for one that is kept.
    ///
    /// # Errors
    /// 404, 409 `last_admin`.
    async fn change_user(
        &self,
        id: UserId,
        change: UserChange,
        caller: &Caller,
        visitor: &Visitor,
    ) -> Result<UserRow, Refusal> {
        let actor = caller.actor(visitor);
        let changed = self.see_through(caller, move |accounts, sessions, tokens| async move {
            let changed = accounts.change_user(id, change, actor).await;
            forget_changed(id, &changed, &sessions, &tokens);
            changed
        });
        is_changed(changed.await?)
    }

    /// Removes a user with all they had.
    ///
    /// # Errors
    /// 404, 409 `last_admin`.
    pub(crate) async fn delete_user(&self, id: UserId, caller: &Caller, visitor: &Visitor) -> Result<(), Refusal> {
        let actor = caller.actor(visitor);
        let deleted = self.see_through(caller, move |accounts, sessions, tokens| async move {
            let deleted = accounts.delete_user(id, actor).await;
            if !matches!(deleted, Ok(UserDeleted::Unknown | UserDeleted::LastAdmin)) {
                sessions.forget_user(id, None);
                tokens.forget_user(id);
            }
            deleted
        });
        match deleted.await? {
            UserDeleted::Deleted => Ok(()),
            UserDeleted::Unknown => Err(Refusal::new(Code::UnknownUser)),
            UserDeleted::LastAdmin => Err(Refusal::new(Code::LastAdmin)),
        }
    }

    /// Sets the caller's own password. All their other sessions end, and this one gets a new id: its cookie, if there is one.
    ///
    /// # Errors
    /// As [`Auth::prove_again`]; 422.
    pub(crate) async fn change_password(
        &self,
        caller: &Caller,
        current: Option<&Secret>,
        new: &Secret,
        visitor: &Visitor,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let user = caller.user_id().ok_or_else(|| Refusal::new(Code::NoSession))?;
        self.prove_again(caller, current, visitor).await?;
        let password = self.passwords.hash(new).await?;
        let keep = caller.session().map(|session| session.live.session.handle);
        let change = UserChange { password: Some(password), keep, ..UserChange::default() };
        let actor = caller.actor(visitor);
        let rotate = match caller.session() {
            Some(session) => Some((session.key, Ticket::generate()?)),
            None => None,
        };
        let keys = rotate.as_ref().map(|(old, id)| (*old, id.fingerprint()));
        // In one: a client that hangs up in between would leave the session its old id.
        let changed = self.see_through(caller, move |accounts, sessions, tokens| async move {
            let changed = accounts.change_user(user, change, actor.clone()).await;
            forget_changed(user, &changed, &sessions, &tokens);
            let (changed, keys) = match (changed?, keys) {
                (changed @ UserChanged::Changed { .. }, Some(keys)) => (changed, keys),
                (changed, _) => return Ok((changed, false)),
            };
            let rotated = accounts.rotate_session(keys.0, keys.1, actor).await;
            sessions.forget(keys.0);
            Ok((changed, rotated?))
        });
        let (changed, rotated) = changed.await?;
        is_changed(changed)?;
        let Some((_, id)) = rotate else { return Ok(None) };
        Ok(Some(if rotated { self.cookies.session(id.expose()) } else { self.cookies.no_session() }))
    }

    /// Ends one session of a user.
    ///
    /// # Errors
    /// 404.
    pub(crate) async fn revoke_session(
        &self,
        user: UserId,
        handle: SessionHandle,
        caller: &Caller,
        visitor: &Visitor,
    ) -> Result<(), Refusal> {
        let actor = caller.actor(visitor);
        let revoked = self.see_through(caller, move |accounts, sessions, _| async move {
            let revoked = accounts.revoke_session(user, handle, actor).await;
            // Not if there was none: the handle may be another user's, whose CSRF secrets are not this one's to forget.
            if !matches!(revoked, Ok(false)) {
                sessions.forget_handle(handle);
            }
            revoked
        });
        if revoked.await? { Ok(()) } else { Err(Refusal::new(Code::UnknownSession)) }
    }

    /// Ends all sessions of a user but one; how many.
    pub(crate) async fn revoke_sessions(
        &self,
        user: UserId,
        keep: Option<SessionHandle>,
        caller: &Caller,
        visitor: &Visitor,
    ) -> Result<u64, Refusal> {
        let actor = caller.actor(visitor);
        self.see_through(caller, move |accounts, sessions, _| async move {
            let revoked = accounts.revoke_sessions(user, keep, actor).await;
            // Not if there was none: each removal makes all who are asking the store ask once more, and this may be asked for without end.
            if !matches!(revoked, Ok(0)) {
                sessions.forget_user(user, keep);
            }
            revoked
        })
        .await
    }

    /// Removes a token of a user.
    ///
    /// # Errors
    /// 404.
    pub(crate) async fn revoke_token(
        &self,
        id: TokenId,
        owner: UserId,
        caller: &Caller,
        visitor: &Visitor,
    ) -> Result<(), Refusal> {
        let actor = caller.actor(visitor);
        let revoked = self.see_through(caller, move |accounts, _, tokens| async move {
            let revoked = accounts.revoke_token(id, Some(owner), actor).await;
            if !matches!(revoked, Ok(false)) {
                tokens.forget(id);
            }
            revoked
        });
        if revoked.await? { Ok(()) } else { Err(Refusal::new(Code::UnknownToken)) }
    }
}

/// Forgets what is known of a user by what they were. The session that is kept too: what its user may do is to be read again.
fn forget_changed(id: UserId, changed: &Result<UserChanged, StoreError>, sessions: &Sessions, tokens: &ApiTokens) {
    if !matches!(changed, Ok(UserChanged::Same(_) | UserChanged::Unknown | UserChanged::LastAdmin)) {
        sessions.forget_user(id, None);
        tokens.forget_user(id);
    }
}

fn is_changed(changed: UserChanged) -> Result<UserRow, Refusal> {
    match changed {
        UserChanged::Changed { user, .. } | UserChanged::Same(user) => Ok(user),
        UserChanged::Unknown => Err(Refusal::new(Code::UnknownUser)),
        UserChanged::LastAdmin => Err(Refusal::new(Code::LastAdmin)),
    }
}
