//! Who calls, as the server found out before the guard is asked.

use std::sync::Arc;

use super::verdict::Verdict;

/// Who calls. The server's authentication puts it into the extensions of the request, on every request; without it the guard
/// lets nothing through that could change anything.
///
/// It is the *result* of authentication. That a request has an `Authorization` header proves nothing: a server that finds
/// the bearer token wrong answers 401 itself and never falls back to a cookie. Basic, Negotiate and client certificates are
/// sent by browsers unasked, as cookies are: such a caller is a `Session`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller<S> {
    /// Nobody known. The origin is checked, a token is not asked for.
    Anonymous,
    /// Known by a token that no browser sends by itself, and any cookie was ignored. Exempt.
    Bearer,
    /// Known by a cookie, or anything else that a browser sends by itself. Both stages apply.
    Session(S),
}

/// Where tokens are checked: a store, or the server's own session rows with a [`Ring`](super::Ring) each.
pub trait Tokens: Send + Sync {
    /// What [`Caller::Session`] carries. A handle that is cheap to clone, since one is kept while a form is read.
    type Session: Clone + Send + Sync + 'static;

    /// What is to be thought of `token`, as the client sent it, for this session, at `now` (whole seconds, as the layer's clock
    /// counts). It must not wait.
    fn verify(&self, session: &Self::Session, token: &[u8], now: u32) -> Verdict;
}

impl<T: Tokens> Tokens for Arc<T> {
    type Session = T::Session;

    fn verify(&self, session: &Self::Session, token: &[u8], now: u32) -> Verdict {
        T::verify(self, session, token, now)
    }
}
