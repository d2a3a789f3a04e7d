//! Logging in and out.

use std::sync::Arc;

use http::HeaderValue;
use staunch_store::{Actor, AuditEntry, Credentials, Fingerprint, LiveSession, NewSession, SessionBegun, UserRow, Via};

use super::Auth;
use super::caller::{Caller, SessionCaller};
use super::secret::Ticket;
use super::tally::Login;
use super::visitor::Visitor;
use crate::problem::{Code, Refusal};
use crate::rate::{Payer, Rule};
use crate::wire::Secret;

/// A session that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    /// The cookie to be set.
    pub(crate) cookie: HeaderValue,
    /// It, and whose it is.
    pub(crate) live: Arc<LiveSession>,
    /// For the first form.
    pub(crate) csrf_token: Secret,
}

/// Bytes of a name that are told in the audit log. Longer ones are no names.
const NAME_BYTES_MAX: usize = 64;

impl Auth {
    /// Begins a session for whoever has this name and password. The route has been charged by address; here the name is. Both keep it
    /// if the answer is that the login failed, and get it back otherwise: a hash that nobody had time for, or a session that there was no
    /// room for, tells nothing of a password. Whoever hangs up is not told either, and pays: the hash is computed all the same. A session
    /// that the browser had ends: no id outlives a login, whoever chose it.
    ///
    /// # Errors
    /// 401 `login_failed`, one answer for all that can be wrong; 429; 503 `sessions_full` or `passwords_busy`.
    pub(crate) async fn login(&self, name: &str, password: &Secret, visitor: &Visitor) -> Result<Begun, Refusal> {
        let lower = name.to_lowercase();
        let charge = self.throttle.charge(Rule::Account, Payer::Name(lower.as_bytes()))?;
        let begun = self.judge(name, password, visitor).await;
        if begun.as_ref().is_err_and(|refusal| refusal.code() == Code::LoginFailed) {
            visitor.charged.keep();
        } else {
            self.throttle.refund(charge);
        }
        begun
    }

    async fn judge(&self, name: &str, password: &Secret, visitor: &Visitor) -> Result<Begun, Refusal> {
        let credentials = if is_name(name) { self.accounts.credentials(name).await? } else { None };
        let Some(user) = self.verified(credentials, password).await? else {
            self.tally.login(Login::Failed);
            let shown = &name[..name.floor_char_boundary(NAME_BYTES_MAX)];
            self.note(nobody(shown, visitor), "login.failed", shown).await;
            return Err(Refusal::new(Code::LoginFailed));
        };
        let begun = self.begin(&user, visitor).await?;
        self.tally.login(Login::Begun);
        Ok(begun)
    }

    /// The user whose password this is. Who there is not, and who is disabled, take the same work.
    async fn verified(&self, found: Option<Credentials>, password: &Secret) -> Result<Option<UserRow>, Refusal> {
        let right = self.passwords.verify(password, found.as_ref().map(|found| &found.password)).await?;
        Ok(found.filter(|found| right && !found.user.disabled).map(|found| found.user))
    }

    /// Begins a session for a user who has just proven who they are.
    pub(super) async fn begin(&self, user: &UserRow, visitor: &Visitor) -> Result<Begun, Refusal> {
        let id = Ticket::generate()?;
        let key = id.fingerprint();
        let actor =
            Actor { user: Some(user.id), name: user.name.clone(), address: visitor.address(), via: Via::Session };
        let session = NewSession {
            key,
            user: user.id,
            password_changed_at: user.password_changed_at,
            idle: self.idle,
            absolute: self.absolute,
            label: visitor.label.clone(),
            address: visitor.address(),
        };
        let (claimed, ended_by) = (visitor.claimed, actor.clone());
        let begun = self
            .see_through(&Caller::nobody(), move |accounts, sessions, _| async move {
                let begun = accounts.begin_session(session, actor.clone()).await?;
                if let (SessionBegun::Begun(_), Some(claimed)) = (&begun, claimed) {
                    let ended = accounts.end_session(claimed, actor.clone()).await;
                    if !matches!(ended, Ok(false)) {
                        sessions.forget(claimed);
                    }
                    if let Err(error) = ended {
                        // What the store says to this is what it says already, or it is done.
                        let _ended = accounts.end_session(key, actor).await;
                        return Err(error);
                    }
                }
                Ok(begun)
            })
            .await?;
        let full = |whose: &str, limit: u64| {
            self.tally.login(Login::Full);
            Refusal::new(Code::SessionsFull).detail(format_args!("{whose}: {limit} at most"))
        };
        match begun {
            SessionBegun::Begun(_) => {}
            SessionBegun::Refused => return Err(Refusal::new(Code::LoginFailed)),
            SessionBegun::UserFull { limit } => return Err(full("sessions of this user", limit)),
            SessionBegun::Full { limit } => return Err(full("sessions of all users", limit)),
        }
        match self.hand_over(&id).await {
            Ok(begun) => Ok(begun),
            Err(refusal) => {
                // Nobody has its cookie, and it takes one of its user's places.
                self.abandon(key, ended_by).await;
                Err(refusal)
            }
        }
    }

    /// What the browser gets of a session that is in the store.
    async fn hand_over(&self, id: &Ticket) -> Result<Begun, Refusal> {
        let key = id.fingerprint();
        let live = self.sessions.load(key, &*self.accounts).await?.ok_or_else(|| Refusal::new(Code::SessionExpired))?;
        let csrf_token = Secret::new(self.sessions.csrf_token(key, false)?.as_str());
        Ok(Begun { cookie: self.cookies.session(id.expose()), live: live.live, csrf_token })
    }

    async fn abandon(&self, key: Fingerprint, actor: Actor) {
        let nobody = Caller::nobody();
        let ended = self.see_through(&nobody, move |accounts, sessions, _| async move {
            let ended = accounts.end_session(key, actor).await;
            sessions.forget(key);
            ended
        });
        if let Err(refusal) = ended.await {
            tracing::warn!(
                "a session that nobody has stays until it is idle: {}",
                refusal.secret().unwrap_or("refused")
            );
        }
    }

    /// Ends the caller's session.
    ///
    /// # Errors
    /// 409 `no_session`, if that is not how they are known.
    pub(crate) async fn logout(&self, caller: &Caller, visitor: &Visitor) -> Result<(), Refusal> {
        let session = caller.session().ok_or_else(|| Refusal::new(Code::NoSession))?;
        let (key, actor) = (session.key, caller.actor(visitor));
        self.see_through(caller, move |accounts, sessions, _| async move {
            let ended = accounts.end_session(key, actor).await;
            sessions.forget(key);
            ended
        })
        .await?;
        Ok(())
    }

    /// Sees to it that the caller gives the password again, where that is needed. Few tries an hour; only one that is judged wrong counts,
    /// and one that is hung up on, as for [`Auth::login`]; one that is wrong is told in the audit log.
    ///
    /// # Errors
    /// 403 `password_needed` or `wrong_password`, 409 `no_session`, 429.
    pub(super) async fn prove_again(
        &self,
        caller: &Caller,
        password: Option<&Secret>,
        visitor: &Visitor,
    ) -> Result<(), Refusal> {
        if caller.needs_no_password() {
            return Ok(());
        }
        let user = caller.user().ok_or_else(|| Refusal::new(Code::NoSession))?;
        let password = password.ok_or_else(|| Refusal::new(Code::PasswordNeeded))?;
        let charge = self.throttle.charge(Rule::Password, Payer::Name(user.id.0.as_bytes()))?;
        let proven = self.proves(user, password).await;
        if !matches!(proven, Ok(false)) {
            self.throttle.refund(charge);
        }
        if proven? {
            return Ok(());
        }
        self.note(caller.actor(visitor), "password.wrong", &user.name).await;
        Err(Refusal::new(Code::WrongPassword))
    }

    async fn proves(&self, user: &UserRow, password: &Secret) -> Result<bool, Refusal> {
        let credentials = self.accounts.credentials(&user.name).await?;
        Ok(self.verified(credentials, password).await?.is_some_and(|found| found.id == user.id))
    }

    /// A CSRF token for the caller's session.
    ///
    /// # Errors
    /// 409 `no_session`: others need none.
    pub(crate) fn csrf_token(&self, caller: &Caller, fresh: bool) -> Result<Secret, Refusal> {
        let SessionCaller { key, .. } = caller.session().ok_or_else(|| Refusal::new(Code::NoSession))?;
        Ok(Secret::new(self.sessions.csrf_token(*key, fresh)?.as_str()))
    }

    /// Writes into the audit log what did not succeed. Only for what a rate limit has let through, or the log would be a client's to
    /// fill. That it cannot be written is no reason to answer otherwise.
    pub(super) async fn note(&self, actor: Actor, action: &'static str, about: &str) {
        let entry = AuditEntry { actor, action, about: about.to_owned(), detail: String::new() };
        if let Err(error) = self.accounts.audit(entry).await {
            tracing::warn!("{action} is not in the audit log: {error}");
        }
    }
}

/// Somebody who says that they are called so.
pub(super) fn nobody(name: &str, visitor: &Visitor) -> Actor {
    Actor { user: None, name: name.to_owned(), address: visitor.address(), via: Via::Anonymous }
}

/// Whether a name is one that a user can have.
pub(crate) fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte));
    first && rest && name.len() <= NAME_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_have_a_form() {
        for good in ["a", "Ada", "ada.lovelace@example.org", "7of9", &"a".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".a", "-a", "@a", "a b", "a/b", "ä", "a\n", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
