//! The future of an answer: the server's, or the refusal's.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, EXPIRES, ORIGIN};
use http::{HeaderMap, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::reading::Reading;
use crate::csrf::caller::Tokens;
use crate::csrf::reason::Reason;
use crate::csrf::replay::Rebody;
use crate::csrf::vary;
use crate::refusal::Refusal;

/// Characters shown of an origin that was refused.
const ORIGIN_CHARS_MAX: usize = 200;

/// What a guard that only reports has against a request: in the extensions of the request and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported(pub Reason);

/// Whether an answer says what it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vary {
    /// Nothing was looked at.
    No,
    /// A cache may store it.
    Yes,
    /// To a method that is not safe: no cache stores such an answer unless it says for how long (RFC 9110 section 9.3.3, RFC 9111
    /// section 3).
    IfStored,
}

impl Vary {
    fn is_due(self, headers: &HeaderMap) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::IfStored => headers.contains_key(CACHE_CONTROL) || headers.contains_key(EXPIRES),
        }
    }
}

pin_project! {
    /// The future of an answer.
    pub struct Answer<S: Service<Request<W::Body>>, T: Tokens, C, B, W: Rebody<B>> {
        #[pin]
        state: State<S, T, C, B, W>,
        vary: Vary,
        reported: Option<Reason>,
    }
}

pin_project! {
    #[project = StateOf]
    enum State<S: Service<Request<W::Body>>, T: Tokens, C, B, W: Rebody<B>> {
        // Boxed, since few requests have their token in a form or are refused, and all futures would be as large as theirs.
        Reading { reading: Option<Box<Reading<S, T, C, B, W>>> },
        Calling { #[pin] call: S::Future },
        Refused { refusal: Option<Box<(Refusal, Reason)>> },
    }
}

impl<S: Service<Request<W::Body>>, T: Tokens, C, B, W: Rebody<B>> Answer<S, T, C, B, W> {
    #[inline]
    pub(super) fn calling(call: S::Future, vary: Vary) -> Self {
        Self { state: State::Calling { call }, vary, reported: None }
    }

    pub(super) fn reading(reading: Reading<S, T, C, B, W>) -> Self {
        Self { state: State::Reading { reading: Some(Box::new(reading)) }, vary: Vary::IfStored, reported: None }
    }

    pub(super) fn refused(reason: Reason, headers: &HeaderMap) -> Self {
        let refusal = Some(Box::new((refusal(reason, headers), reason)));
        Self { state: State::Refused { refusal }, vary: Vary::Yes, reported: None }
    }

    pub(super) fn reported(mut self, reason: Reason) -> Self {
        self.reported = Some(reason);
        self
    }
}

impl<S, T, C, B, W, R> Future for Answer<S, T, C, B, W>
where
    S: Service<Request<W::Body>, Response = Response<R>>,
    T: Tokens,
    C: Fn() -> u32,
    B: Body<Data = Bytes> + Unpin,
    W: Rebody<B>,
    R: From<Bytes>,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateOf::Calling { call } => {
                    let mut response = ready!(call.poll(cx))?;
                    if this.vary.is_due(response.headers()) {
                        vary::merge(response.headers_mut());
                    }
                    if let Some(reason) = *this.reported {
                        response.extensions_mut().insert(Reported(reason));
                    }
                    return Poll::Ready(Ok(response));
                }
                StateOf::Refused { refusal } => {
                    // Asked again after its end: as idle as any future may be then.
                    let Some(refusal) = refusal.take() else { return Poll::Pending };
                    let (refusal, reason) = *refusal;
                    let mut response = refusal.response::<R>();
                    vary::merge(response.headers_mut());
                    response.extensions_mut().insert(reason);
                    return Poll::Ready(Ok(response));
                }
                StateOf::Reading { reading } => {
                    let Some(form) = reading.as_mut() else { return Poll::Pending };
                    let found = ready!(form.poll(cx));
                    let Some(form) = reading.take() else { return Poll::Pending };
                    let (state, reported) = decided(*form, found);
                    *this.reported = reported;
                    state
                }
            };
            this.state.set(next);
        }
    }
}

/// The form is read: calls the server, or refuses.
fn decided<S, T, C, B, W>(
    mut form: Reading<S, T, C, B, W>,
    found: Result<(), Reason>,
) -> (State<S, T, C, B, W>, Option<Reason>)
where
    S: Service<Request<W::Body>>,
    T: Tokens,
    C: Fn() -> u32,
    B: Body<Data = Bytes> + Unpin,
    W: Rebody<B>,
{
    let reported = found.err();
    match reported {
        None => form.gate.counters.pass(),
        Some(reason) => {
            form.gate.counters.refuse(reason);
            if !form.gate.lets_pass(reason) {
                let refusal = Some(Box::new((refusal(reason, form.headers()), reason)));
                return (State::Refused { refusal }, None);
            }
            form.parts_mut().extensions.insert(Reported(reason));
        }
    }
    let (mut inner, request) = form.resume();
    (State::Calling { call: inner.call(request) }, reported)
}

/// The refusal of a reason, with the origin that was seen, so that who set up a proxy finds what to change.
fn refusal(reason: Reason, headers: &HeaderMap) -> Refusal {
    let mut refusal = reason.refusal();
    if let Some(origin) = headers.get(ORIGIN) {
        let seen: String = String::from_utf8_lossy(origin.as_bytes()).chars().take(ORIGIN_CHARS_MAX).collect();
        refusal.members.insert("origin".to_owned(), seen.into());
    }
    refusal
}

impl<S: Service<Request<W::Body>>, T: Tokens, C, B, W: Rebody<B>> fmt::Debug for Answer<S, T, C, B, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("vary", &self.vary).finish_non_exhaustive()
    }
}
