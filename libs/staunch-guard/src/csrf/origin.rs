//! The origin stage: where a request comes from, by what browsers say of it.

use http::header::{ACCEPT, HOST, ORIGIN, REFERER, UPGRADE};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, Method, Uri};

use self::address::Seen;
use super::reason::Reason;

mod address;

pub use address::{Origin, OriginError, OriginFault};

/// The header a token is sent in.
pub const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Origins a list holds at most. It is read from front to back for each request.
const ORIGINS_MAX: usize = 64;

/// What is known of a request by its head.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its target.
    pub uri: &'a Uri,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

/// The origins a server is at, and those it trusts besides.
///
/// [`Origins::check`] is this table, read from above; `O` is `Origin`, `S` is `Sec-Fetch-Site`, `P` the public origins, `T` the
/// trusted ones, each a scheme, a host and a port. Empty headers are absent ones.
///
/// ```text
/// duplicate O, S, Host or x-csrf-token      403 duplicate_header
/// authenticated by bearer                   pass
/// O = "null"                                403 null_origin
/// O in T                                    pass
/// S = same-origin or none                   pass if O absent, P empty, or O in P; else 403 bad_origin
/// S absent, O present                       pass if O in P; if P is empty, if O is at the Host of the request,
///                                           and https where TLS is known; else 403 bad_origin
/// S absent, O absent                        upgrade: 403 origin_missing; Referer on TLS: as O; else pass
/// S anything else                           403 cross_site
/// ```
///
/// `strict` turns two of the passes into 403 `origin_missing`: neither S nor O, and S = none without O.
///
/// It asks what [`tower_http::csrf`](https://docs.rs/tower-http/0.7.1/tower_http/csrf/) asks, which is what Go 1.25 asks in
/// `CrossOriginProtection`; a test compares the two. That layer is not used itself: it decides and answers in one, without an
/// entry that decides only. Ours differs as follows.
/// - The scheme counts: with a public origin `https://h`, a page of `http://h` is another origin (CVE-2025-47909 in gorilla).
/// - `Origin` beats `Sec-Fetch-Site`: `same-origin` with a foreign origin is refused where public origins are set.
/// - With public origins, `Host` is never looked at, so a proxy may rewrite it.
/// - Default ports are equal to none, in the configuration and in requests; a configured host may be in any case.
/// - `null`, duplicates, upgrades to WebSocket, reads of an API and, on TLS, `Referer` are looked at.
/// - There are no path patterns that exempt (CVE-2025-47910 in Go): a route is exempt by the layer it stands under.
/// - A pass says that a token is looked at next, not that the request is good.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    public: Vec<Origin>,
    trusted: Vec<Origin>,
    /// The public ones as browsers write them.
    texts: Vec<String>,
    tls: bool,
}

impl Origins {
    /// Public origins, and further ones that are trusted as if they were: each may do all that the server's own pages may.
    /// Without public origins, `Host` tells where the server is; set them behind a proxy.
    ///
    /// # Errors
    /// [`OriginError`]: the first one that is no origin, or one too many (64 a list).
    ///
    /// ```
    /// use staunch_guard::csrf::Origins;
    /// let origins = Origins::new(["https://flows.example", "http://192.168.1.9:8080"], [])?;
    /// assert!(Origins::new(["flows.example"], []).is_err());
    /// # Ok::<(), staunch_guard::csrf::OriginError>(())
    /// ```
    pub fn new<'a>(
        public: impl IntoIterator<Item = &'a str>,
        trusted: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, OriginError> {
        let public = listed(&mut public.into_iter())?;
        let trusted = listed(&mut trusted.into_iter())?;
        // Where all ways to the server are https, requests came over TLS, whatever a proxy made of them.
        let tls = !public.is_empty() && public.iter().all(Origin::is_https);
        let texts = public.iter().map(ToString::to_string).collect();
        Ok(Self { public, trusted, texts, tls })
    }

    /// Says that all requests come over TLS, where no public origin tells so.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The public origins.
    pub fn public(&self) -> &[Origin] {
        &self.public
    }

    /// The table above, for a request that may change something or that upgrades.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub fn check(&self, head: Head<'_>, bearer: bool, strict: bool) -> Result<(), Reason> {
        let headers = head.headers;
        let origin = single(headers, &ORIGIN)?;
        let site = single(headers, &SEC_FETCH_SITE)?;
        let host = single(headers, &HOST)?;
        single(headers, &TOKEN_HEADER)?;
        if bearer {
            return Ok(());
        }
        if origin == Some(b"null") {
            return Err(Reason::NullOrigin);
        }
        let ours = origin.is_some_and(|origin| self.texts.iter().any(|text| text.as_bytes() == origin));
        if ours && matches!(site, None | Some(b"same-origin" | b"none")) {
            // Most requests. Equal texts are equal origins, so nothing is to be read; different ones may be equal all the same.
            return Ok(());
        }
        let seen = origin.and_then(Seen::origin);
        if seen.is_some_and(|seen| is_in(&self.trusted, &seen)) {
            return Ok(());
        }
        let lonely = || if strict { Err(Reason::OriginMissing) } else { Ok(()) };
        match (site, origin) {
            (Some(b"same-origin"), None) => Ok(()),
            (Some(b"none"), None) => lonely(),
            (Some(b"same-origin" | b"none"), Some(_)) => {
                let known = self.public.is_empty() || seen.is_some_and(|seen| is_in(&self.public, &seen));
                if known { Ok(()) } else { Err(Reason::BadOrigin) }
            }
            (Some(_), _) => Err(Reason::CrossSite),
            (None, Some(_)) => self.is_ours(seen, head, host),
            (None, None) if is_upgrade(head) => Err(Reason::OriginMissing),
            (None, None) => match single(headers, &REFERER)? {
                Some(referer) if self.is_tls(head.uri) => {
                    let seen = Seen::referer(referer);
                    let trusted = seen.is_some_and(|seen| is_in(&self.trusted, &seen));
                    if trusted { lonely() } else { self.is_ours(seen, head, host).and_then(|()| lonely()) }
                }
                _ => lonely(),
            },
        }
    }

    /// For a read by a session that no page of another site should make: of an API, or of an event stream. Refuses what a
    /// browser says comes from elsewhere, unless from a trusted origin.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub fn check_read(&self, headers: &HeaderMap) -> Result<(), Reason> {
        let origin = single(headers, &ORIGIN)?;
        let trusted = origin.and_then(Seen::origin).is_some_and(|seen| is_in(&self.trusted, &seen));
        match single(headers, &SEC_FETCH_SITE)? {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) if trusted => Ok(()),
            Some(_) => Err(Reason::CrossSite),
        }
    }

    fn is_ours(&self, seen: Option<Seen<'_>>, head: Head<'_>, host: Option<&[u8]>) -> Result<(), Reason> {
        let Some(seen) = seen else { return Err(Reason::BadOrigin) };
        let ours = if self.public.is_empty() {
            // The target's authority is above `Host` (RFC 9112, section 3.2.2).
            let at = head.uri.authority().map(|authority| authority.as_str().as_bytes()).or(host);
            let secure = seen.scheme == address::Scheme::Https || !self.is_tls(head.uri);
            secure && at.is_some_and(|at| seen.is_at(at))
        } else {
            is_in(&self.public, &seen)
        };
        if ours { Ok(()) } else { Err(Reason::BadOrigin) }
    }

    fn is_tls(&self, uri: &Uri) -> bool {
        self.tls || uri.scheme() == Some(&Scheme::HTTPS)
    }
}

/// Only these change nothing. `http::Method::is_safe` says TRACE as well, and a method nobody knows may do anything.
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a request asks to become something else, such as a WebSocket: by `Upgrade`, or in HTTP/2 by CONNECT. Every client
/// that can may ask for `h2c`, which is still HTTP.
pub(super) fn is_upgrade(head: Head<'_>) -> bool {
    let plain = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"h2c");
    *head.method == Method::CONNECT || head.headers.get_all(UPGRADE).iter().any(|value| !plain(value))
}

/// Whether a request opens an event stream, which costs a server something for as long as it is open.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let names = |value: &http::HeaderValue| {
        let mut parts = value.as_bytes().split(|byte| matches!(byte, b',' | b';'));
        parts.any(|part| part.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
    };
    headers.get_all(ACCEPT).iter().any(names)
}

/// The one value of a header; `None` if there is none, or an empty one.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Reason> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Reason::DuplicateHeader);
    }
    Ok(first.map(http::HeaderValue::as_bytes).filter(|value| !value.is_empty()))
}

fn is_in(origins: &[Origin], seen: &Seen<'_>) -> bool {
    origins.iter().any(|origin| origin.is(seen))
}

fn listed(texts: &mut dyn Iterator<Item = &str>) -> Result<Vec<Origin>, OriginError> {
    let mut origins = Vec::new();
    for text in texts {
        if origins.len() == ORIGINS_MAX {
            return Err(OriginError { text: text.chars().take(200).collect(), fault: OriginFault::TooMany });
        }
        origins.push(text.parse()?);
    }
    Ok(origins)
}

#[cfg(test)]
mod tests;
