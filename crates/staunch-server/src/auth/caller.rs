//! Who calls.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use staunch_store::{Actor, Fingerprint, LiveSession, LiveToken, Role, Scope, Timestamp, UserId, UserRow, Via};
use tokio_util::sync::CancellationToken;

use super::known::Alive;
use super::session::left;
use super::visitor::Visitor;
use crate::problem::{Code, Refusal};

/// Ends when a caller is not let in any more.
pub(crate) type Leaves = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who calls, and what they may do. In the extensions of every request that reaches a handler.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Who.
    pub(crate) principal: Principal,
    /// Whether a session was claimed that is over.
    pub(crate) expired: bool,
}

/// How somebody is known.
#[derive(Clone, Debug)]
pub(crate) enum Principal {
    /// Not at all.
    Nobody,
    /// By being on this machine, while there is no admin yet. Cancelled when there is one.
    Local(CancellationToken),
    /// By a cookie.
    Session(SessionCaller),
    /// By an API token.
    Token(TokenCaller),
}

/// A session that calls.
#[derive(Clone, Debug)]
pub(crate) struct SessionCaller {
    /// What it is looked up by.
    pub(crate) key: Fingerprint,
    /// It, and whose it is.
    pub(crate) live: Arc<LiveSession>,
    /// Cancelled when it is over.
    pub(crate) alive: Alive,
}

/// A token that calls.
#[derive(Clone, Debug)]
pub(crate) struct TokenCaller {
    /// It, and whose it is.
    pub(crate) live: Arc<LiveToken>,
    /// Cancelled when it is revoked.
    pub(crate) alive: Alive,
}

impl Caller {
    /// Nobody.
    pub(crate) fn nobody() -> Self {
        Self { principal: Principal::Nobody, expired: false }
    }

    /// What they may do here; `None`: only what is public.
    pub(crate) fn role(&self) -> Option<Role> {
        match &self.principal {
            Principal::Nobody => None,
            Principal::Local(_) => Some(Role::Admin),
            Principal::Session(session) => Some(session.live.user.role),
            Principal::Token(token) => Some(token.live.user.role.min(role_of(token.live.token.scope))),
        }
    }

    /// Whether this is a token that may look and nothing else.
    pub(crate) fn only_looks(&self) -> bool {
        matches!(self.principal, Principal::Token(_)) && self.role() == Some(Role::Viewer)
    }

    /// The user, if it is one.
    pub(crate) fn user(&self) -> Option<&UserRow> {
        match &self.principal {
            Principal::Nobody | Principal::Local(_) => None,
            Principal::Session(session) => Some(&session.live.user),
            Principal::Token(token) => Some(&token.live.user),
        }
    }

    /// The user's id, if it is one.
    pub(crate) fn user_id(&self) -> Option<UserId> {
        self.user().map(|user| user.id)
    }

    /// The session, if it is one.
    pub(crate) fn session(&self) -> Option<&SessionCaller> {
        match &self.principal {
            Principal::Session(session) => Some(session),
            _ => None,
        }
    }

    /// By what they are let in: not any more once it is cancelled, nor from then on, if there is such a time.
    fn hold(&self) -> Option<(&CancellationToken, Option<Timestamp>)> {
        match &self.principal {
            Principal::Nobody => None,
            Principal::Local(closed) => Some((closed, None)),
            Principal::Session(session) => Some((&*session.alive, Some(session.live.session.ends_at))),
            Principal::Token(token) => Some((&*token.alive, token.live.token.expires_at)),
        }
    }

    /// Whether they were let in and are not any more.
    pub(crate) fn is_out(&self) -> bool {
        let over = |ends: Option<Timestamp>| ends.is_some_and(|ends| left(ends).is_zero());
        self.hold().is_some_and(|(alive, ends)| alive.is_cancelled() || over(ends))
    }

    /// Ends when they are not let in any more, by revocation, by time, or because the server closed: what they hold open ends then.
    pub(crate) fn leaves(&self) -> Leaves {
        let (alive, ends) = match &self.principal {
            Principal::Nobody => return Box::pin(std::future::pending()),
            Principal::Local(closed) => (Arc::new(closed.clone()), None),
            Principal::Session(session) => (session.alive.clone(), Some(session.live.session.ends_at)),
            Principal::Token(token) => (token.alive.clone(), token.live.token.expires_at),
        };
        Box::pin(async move {
            let over = async {
                match ends {
                    Some(ends) => tokio::time::sleep(left(ends)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = alive.cancelled() => {}
                () = over => {}
            }
        })
    }

    /// What is said to a caller who was let in and is not any more.
    pub(crate) fn put_out(&self) -> Refusal {
        Refusal::new(match self.principal {
            Principal::Nobody | Principal::Local(_) => Code::Unauthenticated,
            Principal::Session(_) => Code::SessionExpired,
            Principal::Token(_) => Code::InvalidToken,
        })
    }

    /// Whether the caller proves enough to do without giving the password again: on this machine before there is an admin, or with a
    /// token of scope admin whose user is one.
    pub(crate) fn needs_no_password(&self) -> bool {
        match &self.principal {
            Principal::Local(_) => true,
            Principal::Token(_) => self.role() == Some(Role::Admin),
            Principal::Nobody | Principal::Session(_) => false,
        }
    }

    /// When what they make ends at the latest; `None`: it may stay. A session has given the password for it.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        match &self.principal {
            Principal::Token(token) => token.live.token.expires_at,
            Principal::Nobody | Principal::Local(_) | Principal::Session(_) => None,
        }
    }

    /// As the audit log has them.
    pub(crate) fn actor(&self, visitor: &Visitor) -> Actor {
        let via = match self.principal {
            Principal::Nobody => Via::Anonymous,
            Principal::Local(_) => Via::Cli,
            Principal::Session(_) => Via::Session,
            Principal::Token(_) => Via::Token,
        };
        let name = match self.user() {
            Some(user) => user.name.clone(),
            None if matches!(self.principal, Principal::Local(_)) => "local".to_owned(),
            None => String::new(),
        };
        Actor { user: self.user_id(), name, address: visitor.address(), via }
    }
}

/// The role that a scope lets through.
pub(crate) fn role_of(scope: Scope) -> Role {
    match scope {
        Scope::Read => Role::Viewer,
        Scope::Run => Role::Operator,
        Scope::Admin => Role::Admin,
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        // Whoever was not identified is nobody: a mistake in the wiring opens nothing.
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(Self::nobody))
    }
}
