//! What a request's head says about it.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{Extensions, HeaderMap, Method, Request};
use staunch_bounded::Budget;

use crate::csrf::caller::{Caller, Tokens};
use crate::csrf::form::Form;
use crate::csrf::origin::{Head, Origins, TOKEN_HEADER, is_event_stream, is_safe, is_upgrade};
use crate::csrf::reason::{Counters, Reason};

/// What is asked of requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) tokens: bool,
    pub(super) strict: bool,
    pub(super) reads: bool,
    pub(super) report: bool,
    pub(super) form_bytes_max: usize,
    pub(super) field: &'static str,
}

/// Says who calls.
pub(super) type Find<S> = dyn Fn(&HeaderMap, &Extensions) -> Option<Caller<S>> + Send + Sync;

/// All that a guard needs to judge.
pub(super) struct Gate<T: Tokens, C, W> {
    pub(super) origins: Arc<Origins>,
    pub(super) tokens: Arc<T>,
    pub(super) clock: C,
    /// Instead of the extensions of a request.
    pub(super) find: Option<Arc<Find<T::Session>>>,
    pub(super) rules: Rules,
    pub(super) forms: Arc<Budget>,
    pub(super) counters: Arc<Counters>,
    pub(super) rebody: W,
}

/// What came of looking at a head.
pub(super) enum Weighed<S> {
    /// There was nothing to look at.
    Unasked,
    /// Nothing speaks against it.
    Passed,
    /// This speaks against it.
    Against(Reason),
    /// The token may be in the form.
    InForm(S, Form),
}

impl<T: Tokens, C: Clone, W: Clone> Clone for Gate<T, C, W> {
    fn clone(&self) -> Self {
        Self {
            origins: Arc::clone(&self.origins),
            tokens: Arc::clone(&self.tokens),
            clock: self.clock.clone(),
            find: self.find.clone(),
            rules: self.rules,
            forms: Arc::clone(&self.forms),
            counters: Arc::clone(&self.counters),
            rebody: self.rebody.clone(),
        }
    }
}

impl<T: Tokens, C: Fn() -> u32, W> Gate<T, C, W> {
    pub(super) fn weigh<B>(&self, request: &Request<B>) -> Weighed<T::Session> {
        let head = Head { method: request.method(), uri: request.uri(), headers: request.headers() };
        let found = self.find.as_ref().map(|find| find(request.headers(), request.extensions()));
        let caller = match &found {
            Some(found) => found.as_ref(),
            None => request.extensions().get(),
        };
        let safe = is_safe(head.method);
        if safe && !is_upgrade(head) {
            return self.weigh_read(head.headers, caller);
        }
        let bearer = matches!(caller, Some(Caller::Bearer));
        if let Err(reason) = self.origins.check(head, bearer, self.rules.strict) {
            return Weighed::Against(reason);
        }
        match caller {
            _ if !self.rules.tokens => Weighed::Passed,
            None => Weighed::Against(Reason::CallerUnknown),
            Some(Caller::Anonymous | Caller::Bearer) => Weighed::Passed,
            // Upgrades: a browser cannot send a token with one, and the origin has been looked at.
            Some(Caller::Session(_)) if safe || *head.method == Method::CONNECT => Weighed::Passed,
            Some(Caller::Session(session)) => self.weigh_token(head.headers, session),
        }
    }

    /// What is thought of a token; nothing if it is good.
    pub(super) fn token(&self, session: &T::Session, token: &[u8]) -> Result<(), Reason> {
        Reason::of(self.tokens.verify(session, token, (self.clock)())).map_or(Ok(()), Err)
    }

    /// Whether a request is passed on with this against it.
    pub(super) fn lets_pass(&self, reason: Reason) -> bool {
        // A broken body cannot be passed on.
        self.rules.report && reason != Reason::BodyUnreadable
    }

    fn weigh_read(&self, headers: &HeaderMap, caller: Option<&Caller<T::Session>>) -> Weighed<T::Session> {
        // Nobody knows who calls: as if by a session.
        let ambient = !matches!(caller, Some(Caller::Anonymous | Caller::Bearer));
        if !(ambient && (self.rules.reads || is_event_stream(headers))) {
            return Weighed::Unasked;
        }
        self.origins.check_read(headers).map_or_else(Weighed::Against, |()| Weighed::Passed)
    }

    fn weigh_token(&self, headers: &HeaderMap, session: &T::Session) -> Weighed<T::Session> {
        // The origin stage has seen to it that there are not two.
        if let Some(token) = headers.get(TOKEN_HEADER) {
            return self.token(session, token.as_bytes()).map_or_else(Weighed::Against, |()| Weighed::Passed);
        }
        match Form::of(headers) {
            Err(reason) => Weighed::Against(reason),
            Ok(None) => Weighed::Against(Reason::TokenMissing),
            Ok(Some(Form::Urlencoded)) if self.is_too_long(headers) => Weighed::Against(Reason::FormTooLarge),
            Ok(Some(form)) => Weighed::InForm(session.clone(), form),
        }
    }

    /// Whether a body says of itself that it is larger than is read; if it says nothing, reading it will tell.
    fn is_too_long(&self, headers: &HeaderMap) -> bool {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        length.is_some_and(|length| length > self.rules.form_bytes_max as u64)
    }
}
