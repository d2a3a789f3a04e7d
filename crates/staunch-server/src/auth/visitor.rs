//! A visitor: what there is to say of whoever sent a request, before or besides who they are.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::USER_AGENT;
use http::request::Parts;
use staunch_guard::Client;
use staunch_store::Fingerprint;

use super::cookie::{Cookies, find};
use super::secret;
use crate::app::App;
use crate::rate::Charge;

/// The other end of the socket, put into a request's extensions where it was accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What a request was charged before it reached its handler. It is given back when there is an answer, unless the handler said that it
/// stays: what never came to be judged costs nobody a try.
#[derive(Clone, Debug, Default)]
pub(crate) struct Charged(Arc<Mutex<Option<Charge>>>);

impl Charged {
    /// This.
    pub(crate) fn new(charge: Charge) -> Self {
        Self(Arc::new(Mutex::new(Some(charge))))
    }

    /// It stays, whatever comes.
    pub(crate) fn keep(&self) {
        let _stays = self.take();
    }

    /// It, the first time, if it does not stay. The lock is for that, and held for a moment; poisoned, it holds what it held.
    pub(crate) fn take(&self) -> Option<Charge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Bytes of a user agent that are kept; the store cuts there too.
const LABEL_BYTES_MAX: usize = 200;

/// Where a request comes from, by what browser, and the session it claims, whether or not that lives.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// The client, if a socket tells.
    pub(crate) client: Option<Client>,
    /// The browser, as it calls itself.
    pub(crate) label: String,
    /// The session whose id is in the cookie.
    pub(crate) claimed: Option<Fingerprint>,
    /// What the request was charged.
    pub(crate) charged: Charged,
}

impl Visitor {
    /// The address as text; empty if it is not known.
    pub(crate) fn address(&self) -> String {
        self.client.map(|client| client.address().to_string()).unwrap_or_default()
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self {
            client: parts.extensions.get().copied(),
            label: label(&parts.headers),
            claimed: claimed(app.auth.cookies, &parts.headers),
            charged: parts.extensions.get::<Charged>().cloned().unwrap_or_default(),
        })
    }
}

fn label(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    agent[..agent.floor_char_boundary(LABEL_BYTES_MAX)].to_owned()
}

fn claimed(cookies: Cookies, headers: &HeaderMap) -> Option<Fingerprint> {
    secret::fingerprint(find(headers, cookies.session_name()).ok().flatten()?)
}
