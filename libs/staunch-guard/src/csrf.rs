//! Defence against cross-site request forgery: where a request comes from, and a secret that only the server's own pages know.
//!
//! Another site can make a browser send requests, with the cookies that belong to this one. Two things it cannot do: say that it
//! is this site, and read this site's pages. So a [`CsrfLayer`] asks both, in two stages, either of which has failed alone
//! somewhere: browsers have lost headers (WebKit on reload), leave them out on plain HTTP, and proxies take them away; tokens
//! leak, and have been planted.
//!
//! 1. The **origin stage**, [`Origins`]: what `Origin` and `Sec-Fetch-Site` say, against the configured public origins.
//! 2. The **token stage**, for callers known by a cookie: a token of the session, checked by [`Tokens`]. A server with session
//!    rows of its own puts a [`Ring`] into each; one without uses a [`CsrfStore`]. The login form, which has no session yet, has
//!    a [`PreSession`].
//!
//! A session has at most five live secrets, each for a day; memory is bounded by construction, and nothing needs a background
//! task. Nothing here is global, spawns, or reads a clock. `docs/csrf-traps.md` beside this crate's sources lists what has gone
//! wrong in others, and which test shows that it does not here.
//!
//! ```
//! use std::sync::Arc;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use staunch_guard::csrf::{Caller, CsrfLayer, CsrfStore, Origins, Replay, StoreLimits};
//! use tower::{Layer, Service, ServiceExt};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Arc::new(CsrfStore::new(StoreLimits::default())?);
//! let origins = Origins::new(["https://flows.example"], [])?;
//! let layer = CsrfLayer::new(origins, Arc::clone(&store), || 0);
//!
//! let handler = tower::service_fn(|_: Request<Replay<Full<Bytes>>>| async {
//!     Ok::<_, std::convert::Infallible>(Response::new(Full::from("done")))
//! });
//! let guarded = layer.layer(handler);
//!
//! // The server's authentication has found the session, and a page of it was given a token.
//! let session = Bytes::from_static(b"the session's id");
//! let token = store.current(&session, 0)?;
//! let post = |origin: &str| {
//!     Request::post("/runs")
//!         .header("origin", origin)
//!         .header("x-csrf-token", token.as_str())
//!         .extension(Caller::Session(session.clone()))
//!         .body(Full::from("..."))
//! };
//! # let run = |future: std::pin::Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, std::convert::Infallible>>>>| {
//! #     let mut future = future;
//! #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! #     match future.as_mut().poll(&mut context) {
//! #         std::task::Poll::Ready(Ok(response)) => response.status().as_u16(),
//! #         std::task::Poll::Ready(Err(never)) => match never {},
//! #         std::task::Poll::Pending => 0,
//! #     }
//! # };
//! let (good, bad) = (post("https://flows.example")?, post("https://evil.example")?);
//! assert_eq!(run(Box::pin(guarded.clone().oneshot(good))), 200);
//! assert_eq!(run(Box::pin(guarded.oneshot(bad))), 403);
//! # Ok(())
//! # }
//! ```

mod caller;
#[cfg(test)]
mod fakes;
mod form;
mod layer;
mod origin;
mod presession;
mod random;
mod reason;
mod replay;
mod ring;
mod store;
mod token;
mod vary;
mod verdict;

pub use caller::{Caller, Tokens};
pub use layer::{Csrf, CsrfLayer, FORM_BYTES_MAX, FORM_FIELD, Reported};
pub use origin::{Head, Origin, OriginError, OriginFault, Origins, TOKEN_HEADER};
pub use presession::{COOKIE_CHARS, FORM_TOKEN_CHARS, FORM_TTL_SECONDS, PreSession};
pub use random::{NoRandom, Random, SeededRandom, SystemRandom};
pub use reason::{Counters, Reason};
pub use replay::{Kept, Rebody, Replay, Replayed};
pub use ring::{Ring, SLOTS};
pub use store::{CsrfStore, IssueError, SESSIONS_MAX, StoreLimits, StoreStats, TTL_SECONDS};
pub use token::{TOKEN_CHARS, Token};
pub use verdict::Verdict;
