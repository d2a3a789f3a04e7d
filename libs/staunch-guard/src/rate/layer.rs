//! The layer: asks the limiter before the service behind it hears of a request.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::clock::{Clock, Coarse};
use super::headers::{self, Told};
use super::limiter::{Caller, Limiter, Principal};
use super::ruling::Ruling;
use crate::client::{Client, Proxies};

type Peer = dyn Fn(&Extensions) -> Option<SocketAddr> + Send + Sync;

/// Puts a [`Limiter`] in front of a service. All services it makes, and their clones, share the limiter.
///
/// The client is the [`Client`] in the request's extensions, if there is one. Otherwise the socket's peer is the one that
/// [`with_peer`](Self::with_peer) was told or [`peer`](Self::peer) finds, [`proxies`](Self::proxies) say whom it speaks for, and
/// the answer goes into the extensions for others, unless it is [hidden](Self::hide_client). Who is authenticated is the
/// [`Principal`] in the extensions. What account a request names, a layer does not know: policies by account are passed over
/// here.
///
/// A preflight request of CORS passes unasked: the browser sends it by itself, and what it asks for is limited when it comes.
///
/// ```
/// use std::net::SocketAddr;
/// use std::sync::Arc;
/// use staunch_guard::{Limiter, Policy, PolicySet, RateLayer};
/// # struct ConnectInfo(SocketAddr); // axum's, `axum::extract::ConnectInfo<SocketAddr>`
/// let limiter = Arc::new(Limiter::new(PolicySet::new(vec![Policy::api()]).unwrap()).unwrap());
/// let layer = RateLayer::new(limiter)
///     .peer(|extensions| extensions.get::<ConnectInfo>().map(|info| info.0));
/// ```
#[derive(Clone)]
pub struct RateLayer {
    limiter: Arc<Limiter>,
    clock: Arc<dyn Clock>,
    peer: Arc<Peer>,
    // Known where the layer is for one connection.
    address: Option<IpAddr>,
    proxies: Arc<Proxies>,
    shares: bool,
    tells: bool,
}

/// A service behind a [`Limiter`]. Made by [`RateLayer`].
#[derive(Clone, Debug)]
pub struct Rate<S> {
    inner: S,
    // A router clones what it serves by for each request: one count to raise instead of four.
    layer: Arc<RateLayer>,
}

pin_project! {
    /// The answer of a [`Rate`], or of the service behind it.
    pub struct RateFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project! {
    #[project = StateNow]
    enum State<F, B> {
        Passed { #[pin] answer: F, told: Option<Told> },
        // Boxed, since few are, and all futures would be as large.
        Refused { answer: Option<Box<Response<B>>> },
    }
}

impl RateLayer {
    /// With the [`Coarse`] clock, and clients only from the extensions.
    pub fn new(limiter: Arc<Limiter>) -> Self {
        let proxies = Arc::new(Proxies::none());
        let peer = Arc::new(|_: &Extensions| None);
        Self { limiter, clock: Arc::new(Coarse::default()), peer, address: None, proxies, shares: true, tells: true }
    }

    /// Reads the time here instead.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// This layer for one connection, whose socket's peer is known. It costs less than to put the peer into each request and to
    /// find it there.
    ///
    /// With axum, the service of a connection is made by what `axum::serve` is given:
    /// ```
    /// # use std::convert::Infallible;
    /// # use std::future::ready;
    /// # use axum::{Router, serve::IncomingStream};
    /// # use staunch_guard::RateLayer;
    /// # use tokio::net::TcpListener;
    /// # use tower::{Layer, service_fn};
    /// # async fn run(listener: TcpListener, rate: RateLayer, app: Router) -> std::io::Result<()> {
    /// let guarded = service_fn(move |connection: IncomingStream<'_, TcpListener>| {
    ///     let rate = rate.with_peer(*connection.remote_addr());
    ///     ready(Ok::<_, Infallible>(rate.layer(app.clone())))
    /// });
    /// axum::serve(listener, guarded).await
    /// # }
    /// ```
    #[must_use]
    pub fn with_peer(&self, peer: SocketAddr) -> Self {
        Self { address: Some(peer.ip()), ..self.clone() }
    }

    /// Finds the socket's peer of a request so, where the extensions have no [`Client`].
    #[must_use]
    pub fn peer(mut self, peer: impl Fn(&Extensions) -> Option<SocketAddr> + Send + Sync + 'static) -> Self {
        self.peer = Arc::new(peer);
        self
    }

    /// Believes these proxies.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = Arc::new(proxies);
        self
    }

    /// Puts no [`Client`] into the extensions. Where nobody further in asks for it, no other [`RateLayer`] above all, a request
    /// then costs two allocations less.
    #[must_use]
    pub fn hide_client(mut self) -> Self {
        self.shares = false;
        self
    }

    /// Only refusals tell the quota; an answer that is let through says nothing of it. Both lines are optional (draft-11,
    /// section 5), and cost more than the limiter itself: to write them, and on the wire some 80 bytes.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.tells = false;
        self
    }

    /// The limiter.
    pub fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    /// [`Limiter::sweep`] by the clock of the layer: for the owner's timer, each five minutes or so, until it has gone over all
    /// sets. A courtesy to those who read the counts.
    pub fn sweep(&self, sets_max: usize) -> u64 {
        self.limiter.sweep(self.clock.now(), sets_max)
    }

    fn client<A>(&self, request: &mut Request<A>) -> Option<Client> {
        let extensions = request.extensions();
        if let Some(client) = extensions.get() {
            return Some(*client);
        }
        let peer = self.address.or_else(|| Some((self.peer)(extensions)?.ip()))?;
        let client = self.proxies.client(peer, request.headers());
        if self.shares {
            request.extensions_mut().insert(client);
        }
        Some(client)
    }

    /// The refusal, or what the answer is to tell: already written, since a ruling is ten times as large to keep.
    fn ask<A, B: From<Bytes>>(&self, request: &mut Request<A>) -> Result<Option<Told>, Box<Response<B>>> {
        if is_preflight(request.method(), request.headers()) {
            return Ok(None);
        }
        let client = self.client(request);
        let principal = request.extensions().get::<Principal>().map(Principal::bytes);
        let caller = Caller { client, principal, ..Caller::new(request.method()) };
        let mut ruling = Ruling::new();
        // A cost of 1 fits every burst.
        if self.limiter.rule(&caller, 1, &*self.clock, &mut ruling).is_err() {
            return Err(Box::new(headers::too_many().response()));
        }
        match headers::refusal(&self.limiter, &ruling) {
            Some(refusal) => Err(Box::new(headers::answer(&self.limiter, &ruling, refusal))),
            None if self.tells => Ok(Told::of(&self.limiter, &ruling)),
            None => Ok(None),
        }
    }
}

/// What the Fetch standard calls a CORS-preflight request.
fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key("access-control-request-method") && headers.contains_key("origin")
}

impl<S> Layer<S> for RateLayer {
    type Service = Rate<S>;

    fn layer(&self, inner: S) -> Rate<S> {
        Rate { inner, layer: Arc::new(self.clone()) }
    }
}

impl<S, A, B> Service<Request<A>> for Rate<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: From<Bytes>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = RateFuture<S::Future, B>;

    /// As the service behind: it charges nobody.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        // Each arm makes its future where it is returned: what stands between would be copied.
        match self.layer.ask(&mut request) {
            Ok(told) => RateFuture { state: State::Passed { answer: self.inner.call(request), told } },
            Err(answer) => RateFuture { state: State::Refused { answer: Some(answer) } },
        }
    }
}

impl<F, B, E> Future for RateFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateNow::Passed { answer, told } => {
                let mut response = ready!(answer.poll(cx))?;
                if let Some(told) = told.take() {
                    told.tell(response.headers_mut());
                }
                Poll::Ready(Ok(response))
            }
            StateNow::Refused { answer } => {
                Poll::Ready(Ok(*answer.take().expect("a future is not polled after it was ready")))
            }
        }
    }
}

impl<F, B> fmt::Debug for RateFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for RateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLayer").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
