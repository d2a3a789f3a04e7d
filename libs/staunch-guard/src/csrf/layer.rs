//! The layer: the origin stage, then the token stage, before the server behind is called.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Request, Response};
use http_body::Body;
use staunch_bounded::Budget;
use tower_layer::Layer;
use tower_service::Service;

use self::answer::{Answer, Vary};
use self::gate::{Gate, Rules, Weighed};
use super::caller::{Caller, Tokens};
use super::origin::{Origins, is_safe};
use super::reason::Counters;
use super::replay::{Kept, Rebody, Replay, Replayed};

mod answer;
mod gate;
mod reading;

pub use answer::Reported;

/// Bytes of a urlencoded form in which a token is looked for, by default.
pub const FORM_BYTES_MAX: usize = 64 * 1024;
/// The name of a form's field, by default.
pub const FORM_FIELD: &str = "csrf_token";
/// Bytes of forms that are read at once, by default: 256 of the largest.
const FORMS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Lets a request through only if it comes from where it may come from, and, where its caller is known by a cookie, carries one
/// of the session's tokens.
///
/// The server's authentication stands before it and puts a [`Caller`](super::Caller) into the request. `T` checks tokens; `C`
/// is the clock, whole seconds that do not go back. What is asked of a request:
///
/// - GET, HEAD and OPTIONS pass, unless they ask to upgrade, open an event stream with a session, or the layer stands before an
///   API whose reads are protected ([`CsrfLayer::protect_reads`]): then their origin is looked at.
/// - All other methods, known or not, pass the origin stage ([`Origins::check`]). `Anonymous` and `Bearer` then pass. A
///   `Session` needs a token, in the header `x-csrf-token`, or, if that header is not there, in the field
///   of a form. A wrong header is not made good by a right field. The query is never looked at.
/// - CONNECT, which HTTP/2 uses for WebSocket, needs an origin and no token, as browsers cannot send one.
///
/// A form is read as far as its token needs: a urlencoded one whole, up to a bound; of a multipart one the first part, which
/// must be the token. The server behind gets all bytes. Time limits for slow bodies belong in a layer before this one.
///
/// A refused request is never passed on: no call, no future that could be polled. `poll_ready` is passed on, as tower asks.
/// The answer is a [`Refusal`](crate::Refusal) with the code of a [`Reason`](super::Reason), and both are in its extensions.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Instant;
/// use staunch_guard::csrf::{CsrfLayer, CsrfStore, Origins, StoreLimits};
/// let store = Arc::new(CsrfStore::new(StoreLimits::default())?);
/// let begun = Instant::now();
/// let clock = move || u32::try_from(begun.elapsed().as_secs()).unwrap_or(u32::MAX);
/// let layer = CsrfLayer::new(Origins::new(["https://flows.example"], [])?, store, clock);
/// let api = layer.clone().protect_reads();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CsrfLayer<T: Tokens, C, W = Replayed> {
    gate: Gate<T, C, W>,
}

/// A server behind the guard.
pub struct Csrf<S, T: Tokens, C, W = Replayed> {
    inner: S,
    gate: Arc<Gate<T, C, W>>,
}

impl<T: Tokens, C: Fn() -> u32> CsrfLayer<T, C> {
    /// A guard for these origins, which enforces both stages.
    pub fn new(origins: Origins, tokens: Arc<T>, clock: C) -> Self {
        let rules = Rules {
            tokens: true,
            strict: false,
            reads: false,
            report: false,
            form_bytes_max: FORM_BYTES_MAX,
            field: FORM_FIELD,
        };
        let gate = Gate {
            origins: Arc::new(origins),
            tokens,
            clock,
            find: None,
            rules,
            forms: Budget::root("csrf forms", FORMS_BYTES_MAX),
            counters: Arc::default(),
            rebody: Replayed,
        };
        Self { gate }
    }

    /// Bodies keep their type `B`: `rebody` makes one of a body in which a token was looked for, and all others are passed on
    /// as they came. With axum it is `axum::body::Body::new`. Without it the server gets a [`Replay`], which axum boxes once
    /// more for each request.
    #[must_use]
    pub fn keep_body<B, F: Fn(Replay<B>) -> B + Clone>(self, rebody: F) -> CsrfLayer<T, C, Kept<F>> {
        let Gate { origins, tokens, clock, find, rules, forms, counters, rebody: _ } = self.gate;
        CsrfLayer { gate: Gate { origins, tokens, clock, find, rules, forms, counters, rebody: Kept(rebody) } }
    }
}

impl<T: Tokens, C: Fn() -> u32, W> CsrfLayer<T, C, W> {
    /// Asks this who calls, of each request once, instead of looking for a [`Caller`] in its extensions. For a server whose
    /// authentication puts something of its own there: another entry would cost up to three allocations a request.
    ///
    /// The result of authentication, as always; `None`, as where the extensions have none, is a mistake in the server and changes
    /// nothing.
    #[must_use]
    pub fn caller(
        mut self,
        find: impl Fn(&HeaderMap, &Extensions) -> Option<Caller<T::Session>> + Send + Sync + 'static,
    ) -> Self {
        self.gate.find = Some(Arc::new(find));
        self
    }

    /// Something must say where a request comes from: neither header, or `Sec-Fetch-Site: none`, is then not enough. It shuts
    /// out tools without a bearer token.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.gate.rules.strict = true;
        self
    }

    /// No token is asked for, and therefore the origin stage is strict. For routes that cannot have a token; all others should.
    #[must_use]
    pub fn origin_only(mut self) -> Self {
        self.gate.rules.tokens = false;
        self.strict()
    }

    /// Reads with a session are refused to pages of other sites: for an API, whose answers are nobody's to embed or to time.
    /// Not for pages, to which others may link.
    #[must_use]
    pub fn protect_reads(mut self) -> Self {
        self.gate.rules.reads = true;
        self
    }

    /// Refuses nothing, counts what it would refuse, and puts [`Reported`] into the extensions of the request and its answer.
    /// To try it out before it is enforced. Only a body that breaks while it is read is still refused.
    #[must_use]
    pub fn report_only(mut self) -> Self {
        self.gate.rules.report = true;
        self
    }

    /// The name of a form's field.
    #[must_use]
    pub fn form_field(mut self, name: &'static str) -> Self {
        self.gate.rules.field = name;
        self
    }

    /// Bytes of a urlencoded form in which a token is looked for; a larger one needs the header.
    #[must_use]
    pub fn form_bytes_max(mut self, bytes: usize) -> Self {
        self.gate.rules.form_bytes_max = bytes;
        self
    }

    /// The budget on which forms are charged while they are read, and until the server behind is done with them.
    #[must_use]
    pub fn forms_budget(mut self, budget: Arc<Budget>) -> Self {
        self.gate.forms = budget;
        self
    }

    /// Counts into these, for several layers with one set of metrics.
    #[must_use]
    pub fn count_into(mut self, counters: Arc<Counters>) -> Self {
        self.gate.counters = counters;
        self
    }

    /// What passed and what did not, for all servers that this layer and its clones are put before.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.gate.counters
    }

    /// The budget of forms being read.
    pub fn forms(&self) -> &Arc<Budget> {
        &self.gate.forms
    }
}

impl<S, T: Tokens, C: Clone, W: Clone> Layer<S> for CsrfLayer<T, C, W> {
    type Service = Csrf<S, T, C, W>;

    fn layer(&self, inner: S) -> Csrf<S, T, C, W> {
        Csrf { inner, gate: Arc::new(self.gate.clone()) }
    }
}

impl<S, T, C, B, W, R> Service<Request<B>> for Csrf<S, T, C, W>
where
    S: Service<Request<W::Body>, Response = Response<R>> + Clone,
    T: Tokens,
    C: Fn() -> u32,
    B: Body<Data = Bytes> + Unpin,
    W: Rebody<B>,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answer<S, T, C, B, W>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Answer<S, T, C, B, W> {
        match self.gate.weigh(&request) {
            Weighed::Unasked => Answer::calling(self.inner.call(self.gate.rebody.whole(request)), Vary::No),
            Weighed::Passed => {
                self.gate.counters.pass();
                let vary = if is_safe(request.method()) { Vary::Yes } else { Vary::IfStored };
                Answer::calling(self.inner.call(self.gate.rebody.whole(request)), vary)
            }
            Weighed::Against(reason) => {
                self.gate.counters.refuse(reason);
                if self.gate.lets_pass(reason) {
                    request.extensions_mut().insert(Reported(reason));
                    return Answer::calling(self.inner.call(self.gate.rebody.whole(request)), Vary::Yes)
                        .reported(reason);
                }
                Answer::refused(reason, request.headers())
            }
            Weighed::InForm(session, form) => {
                // The clone has not been polled ready; the one that has goes with the request.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                Answer::reading(reading::Reading::new(ready, Arc::clone(&self.gate), request, session, form))
            }
        }
    }
}

impl<T: Tokens, C: Clone, W: Clone> Clone for CsrfLayer<T, C, W> {
    fn clone(&self) -> Self {
        Self { gate: self.gate.clone() }
    }
}

impl<S: Clone, T: Tokens, C, W> Clone for Csrf<S, T, C, W> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), gate: Arc::clone(&self.gate) }
    }
}

impl<T: Tokens, C, W> fmt::Debug for CsrfLayer<T, C, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfLayer").field("rules", &self.gate.rules).finish_non_exhaustive()
    }
}

impl<S, T: Tokens, C, W> fmt::Debug for Csrf<S, T, C, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Csrf").field("rules", &self.gate.rules).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
