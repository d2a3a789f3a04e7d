//! What every answer says to browsers, errors too.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Nothing is loaded but our own files; no code stands in a page; nobody frames us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'";

/// Each with its value, unless a route has said something else, which is then stricter. Made once: to make a value is to look at
/// each of its characters.
static ALWAYS: [(HeaderName, HeaderValue); 9] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Not `no-referrer`: browsers would then hide the origin of our own forms.
    (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // The filter that old browsers had could be turned against a page.
    (X_XSS_PROTECTION, HeaderValue::from_static("0")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("origin-agent-cluster"), HeaderValue::from_static("?1")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ),
];

/// Two years, as browsers' preload lists ask; only for this host.
const STRICT_TRANSPORT: &str = "max-age=63072000";

/// Adds them. `secure`: browsers come by https.
pub(crate) fn secure(headers: &mut HeaderMap, secure: bool) {
    headers.reserve(ALWAYS.len());
    for (name, value) in &ALWAYS {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    if secure {
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(HeaderValue::from_static(STRICT_TRANSPORT));
    }
    let page = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if page {
        // A page holds a CSRF token, and what one caller may see.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_may_be_stricter_and_https_is_remembered() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        secure(&mut headers, false);
        assert_eq!(headers[CONTENT_SECURITY_POLICY], "default-src 'none'");
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert!(!headers.contains_key(STRICT_TRANSPORT_SECURITY));
        secure(&mut headers, true);
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], STRICT_TRANSPORT);
        let mut plain = HeaderMap::new();
        secure(&mut plain, false);
        assert_eq!(plain.len(), ALWAYS.len());
    }
}
