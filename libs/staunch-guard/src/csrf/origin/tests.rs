//! Tests of the origin stage: the table, and the tables of others.
#![expect(clippy::unwrap_used, reason = "tests")]

use http::Request;
use http::request::Builder;
use proptest::prelude::*;

use super::*;
use crate::csrf::fakes::block_on;

/// Checks a request that is written as `METHOD target; name: value; name: value`.
fn check(origins: &Origins, text: &str, strict: bool) -> Result<(), Reason> {
    let request = build(text).body(()).unwrap();
    let head = Head { method: request.method(), uri: request.uri(), headers: request.headers() };
    origins.check(head, false, strict)
}

fn build(text: &str) -> Builder {
    let mut parts = text.split("; ");
    let (method, uri) = parts.next().unwrap().split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(uri);
    parts.fold(request, |request, header| {
        let (name, value) = header.split_once(':').unwrap();
        request.header(name, value.trim_start())
    })
}

fn table(origins: &Origins, rows: &[(&str, Result<(), Reason>)]) {
    for (text, expected) in rows {
        assert_eq!(check(origins, text, false), *expected, "{text}");
    }
}

/// Row by row, with public and trusted origins. `Host` is a stranger's throughout: it is never looked at.
#[test]
fn the_table_with_public_origins() {
    let origins = Origins::new(["https://h", "https://second:8443"], ["https://t"]).unwrap();
    table(
        &origins,
        &[
            ("POST /; host: x; origin: https://h; origin: https://h", Err(Reason::DuplicateHeader)),
            ("POST /; host: x; sec-fetch-site: none; sec-fetch-site: none", Err(Reason::DuplicateHeader)),
            ("POST /; host: x; host: x", Err(Reason::DuplicateHeader)),
            ("POST /; host: x; x-csrf-token: a; x-csrf-token: a", Err(Reason::DuplicateHeader)),
            ("POST /; host: x; origin: null", Err(Reason::NullOrigin)),
            ("POST /; host: x; origin: null; sec-fetch-site: same-origin", Err(Reason::NullOrigin)),
            ("POST /; host: x; origin: https://t", Ok(())),
            ("POST /; host: x; origin: https://t; sec-fetch-site: cross-site", Ok(())),
            ("POST /; host: x; origin: https://t:443; sec-fetch-site: cross-site", Ok(())),
            ("POST /; host: x; origin: http://t; sec-fetch-site: cross-site", Err(Reason::CrossSite)),
            ("POST /; host: x; sec-fetch-site: same-origin", Ok(())),
            ("POST /; host: x; sec-fetch-site: none", Ok(())),
            ("POST /; host: x; origin: https://h; sec-fetch-site: same-origin", Ok(())),
            ("POST /; host: x; origin: https://second:8443; sec-fetch-site: same-origin", Ok(())),
            ("POST /; host: x; origin: https://evil; sec-fetch-site: same-origin", Err(Reason::BadOrigin)),
            ("POST /; host: x; origin: https://evil; sec-fetch-site: none", Err(Reason::BadOrigin)),
            ("POST /; host: h; origin: http://h; sec-fetch-site: same-origin", Err(Reason::BadOrigin)),
            ("POST /; host: x; origin: https://h", Ok(())),
            ("POST /; host: x; origin: https://h; sec-fetch-site: ", Ok(())),
            ("POST /; host: evil; origin: https://evil", Err(Reason::BadOrigin)),
            ("POST /; host: h; origin: http://h", Err(Reason::BadOrigin)),
            ("POST /; host: x", Ok(())),
            ("POST /; host: x; origin: ; sec-fetch-site: ", Ok(())),
            ("POST /; host: x; referer: https://h/page", Ok(())),
            ("POST /; host: x; referer: https://t/page", Ok(())),
            ("POST /; host: x; referer: https://evil/page", Err(Reason::BadOrigin)),
            ("POST /; host: x; referer: http://h/page", Err(Reason::BadOrigin)),
            ("POST /; host: x; referer: https://h/; referer: https://h/", Err(Reason::DuplicateHeader)),
            ("POST /; host: x; sec-fetch-site: cross-site", Err(Reason::CrossSite)),
            ("POST /; host: x; sec-fetch-site: same-site", Err(Reason::CrossSite)),
            ("POST /; host: x; sec-fetch-site: same-site; origin: https://h", Err(Reason::CrossSite)),
            ("POST /; host: x; sec-fetch-site: Same-Origin", Err(Reason::CrossSite)),
            ("POST /; host: x; sec-fetch-site: same-origin, same-origin", Err(Reason::CrossSite)),
            ("POST /; host: x; sec-fetch-site: junk", Err(Reason::CrossSite)),
            ("POST /; host: x; sec-fetch-site: ö", Err(Reason::CrossSite)),
        ],
    );
}

/// Without public origins, `Host` says where the server is; on plain HTTP in a LAN browsers send no `Sec-Fetch-Site`.
#[test]
fn the_table_without_public_origins() {
    table(
        &Origins::default(),
        &[
            ("POST /; host: nas:8080; origin: http://nas:8080", Ok(())),
            ("POST /; host: nas:8080; origin: http://nas", Err(Reason::BadOrigin)),
            ("POST /; host: nas:8080; origin: http://evil:8080", Err(Reason::BadOrigin)),
            ("POST /; host: nas:8080; referer: http://evil/", Ok(())),
            ("POST /; host: internal; origin: https://h; sec-fetch-site: same-origin", Ok(())),
            ("POST /; host: internal; origin: https://h", Err(Reason::BadOrigin)),
            ("POST /; host: NAS; origin: http://nas", Ok(())),
            ("POST /; host: nas, nas; origin: http://nas", Err(Reason::BadOrigin)),
            ("POST /; host: user@nas; origin: http://nas", Err(Reason::BadOrigin)),
            ("POST /; origin: http://nas", Err(Reason::BadOrigin)),
        ],
    );
    let tls = Origins::default().tls();
    table(
        &tls,
        &[
            ("POST /; host: h; origin: https://h", Ok(())),
            ("POST /; host: h; origin: http://h", Err(Reason::BadOrigin)),
            ("POST /; host: h; referer: https://h/page", Ok(())),
            ("POST /; host: h; referer: http://h/page", Err(Reason::BadOrigin)),
            ("POST /; host: h; referer: https://evil/", Err(Reason::BadOrigin)),
            ("POST https://h/; origin: http://h", Err(Reason::BadOrigin)),
        ],
    );
    // HTTP/2 says its scheme itself.
    assert_eq!(check(&Origins::default(), "POST https://h/; origin: http://h", false), Err(Reason::BadOrigin));
    assert_eq!(check(&Origins::default(), "POST https://h/; origin: https://h", false), Ok(()));
}

#[test]
fn strict_wants_to_be_told_where_a_request_comes_from() {
    let origins = Origins::new(["https://h"], []).unwrap();
    for (text, expected) in [
        ("POST /; host: h", Err(Reason::OriginMissing)),
        ("POST /; host: h; sec-fetch-site: none", Err(Reason::OriginMissing)),
        ("POST /; host: h; referer: https://h/", Err(Reason::OriginMissing)),
        ("POST /; host: h; sec-fetch-site: none; origin: https://h", Ok(())),
        ("POST /; host: h; sec-fetch-site: same-origin", Ok(())),
        ("POST /; host: h; origin: https://h", Ok(())),
    ] {
        assert_eq!(check(&origins, text, true), expected, "{text}");
    }
}

/// Trap 50: cross-site WebSocket hijacking (Gitpod, GHSA-f53g-frr2-jhpf), over HTTP/1.1 and HTTP/2.
#[test]
fn an_upgrade_needs_an_origin_of_ours() {
    for text in ["GET /; upgrade: websocket", "CONNECT h:443"] {
        let origins = Origins::new(["https://h"], []).unwrap();
        for (more, expected) in [
            ("", Err(Reason::OriginMissing)),
            ("; origin: https://h", Ok(())),
            ("; origin: https://evil", Err(Reason::BadOrigin)),
            ("; origin: https://evil; sec-fetch-site: cross-site", Err(Reason::CrossSite)),
            ("; origin: https://a.h; sec-fetch-site: same-site", Err(Reason::CrossSite)),
            ("; origin: null", Err(Reason::NullOrigin)),
            ("; origin: https://h; sec-fetch-site: same-origin", Ok(())),
        ] {
            let text = format!("{text}; host: h{more}");
            assert_eq!(check(&origins, &text, false), expected, "{text}");
        }
    }
    for (text, expected) in [
        ("GET /; upgrade: h2c", false),
        ("GET /; upgrade: H2C", false),
        ("GET /; upgrade: h2c, websocket", true),
        ("GET /", false),
    ] {
        let request = build(text).body(()).unwrap();
        let head = Head { method: request.method(), uri: request.uri(), headers: request.headers() };
        assert_eq!(is_upgrade(head), expected, "{text}");
    }
}

/// Trap 51: reads of an API and event streams.
#[test]
fn a_protected_read_is_ours_or_from_a_trusted_origin() {
    let origins = Origins::new(["https://h"], ["https://t"]).unwrap();
    for (text, expected) in [
        ("GET /", Ok(())),
        ("GET /; sec-fetch-site: same-origin", Ok(())),
        ("GET /; sec-fetch-site: none", Ok(())),
        ("GET /; sec-fetch-site: cross-site", Err(Reason::CrossSite)),
        ("GET /; sec-fetch-site: same-site", Err(Reason::CrossSite)),
        ("GET /; sec-fetch-site: junk", Err(Reason::CrossSite)),
        ("GET /; sec-fetch-site: cross-site; origin: https://t", Ok(())),
        ("GET /; sec-fetch-site: cross-site; origin: https://evil", Err(Reason::CrossSite)),
        ("GET /; sec-fetch-site: none; sec-fetch-site: none", Err(Reason::DuplicateHeader)),
    ] {
        let request = build(text).body(()).unwrap();
        assert_eq!(origins.check_read(request.headers()), expected, "{text}");
    }
    for (accept, expected) in [
        ("text/event-stream", true),
        ("Text/Event-Stream;q=1", true),
        ("text/html, text/event-stream", true),
        ("text/html", false),
        ("*/*", false),
    ] {
        let request = Request::builder().header("accept", accept).body(()).unwrap();
        assert_eq!(is_event_stream(request.headers()), expected, "{accept}");
    }
}

/// Trap 29: only three methods are safe; TRACE, WebDAV's and lower-case ones are not.
#[test]
fn only_three_methods_are_safe() {
    for (method, expected) in [
        ("GET", true),
        ("HEAD", true),
        ("OPTIONS", true),
        ("TRACE", false),
        ("CONNECT", false),
        ("POST", false),
        ("PUT", false),
        ("PATCH", false),
        ("DELETE", false),
        ("PROPFIND", false),
        ("get", false),
        ("post", false),
        ("QUERY", false),
    ] {
        assert_eq!(is_safe(&Method::from_bytes(method.as_bytes()).unwrap()), expected, "{method}");
    }
}

#[test]
fn origins_below_at_and_over_the_bound() {
    let texts: Vec<String> = (0..=ORIGINS_MAX).map(|i| format!("https://h{i}")).collect();
    let few = |count: usize| Origins::new(texts[..count].iter().map(String::as_str), []);
    assert_eq!(few(63).unwrap().public().len(), 63);
    assert_eq!(few(64).unwrap().public().len(), 64);
    assert_eq!(few(65).unwrap_err().fault, OriginFault::TooMany);
}

/// The cases of Go's `CrossOriginProtection` (net/http, csrf_test.go), in our terms: a server at example.com without public
/// origins, and one trusted origin.
#[test]
fn the_cases_of_go() {
    let origins = Origins::new([], ["https://trusted.example"]).unwrap();
    table(
        &origins,
        &[
            ("POST /; host: example.com; sec-fetch-site: same-origin", Ok(())),
            ("POST /; host: example.com; sec-fetch-site: same-site", Err(Reason::CrossSite)),
            ("POST /; host: example.com; sec-fetch-site: cross-site", Err(Reason::CrossSite)),
            ("POST /; host: example.com; sec-fetch-site: none", Ok(())),
            ("PUT /; host: example.com; sec-fetch-site: cross-site", Err(Reason::CrossSite)),
            ("POST /; host: example.com", Ok(())),
            ("POST /; host: example.com; origin: https://example.com", Ok(())),
            ("POST /; host: example.com; origin: https://attacker.example", Err(Reason::BadOrigin)),
            ("POST /; host: example.com; origin: null", Err(Reason::NullOrigin)),
            ("POST /; host: example.com; origin: https://trusted.example", Ok(())),
            ("POST /; host: example.com; origin: https://trusted.example; sec-fetch-site: cross-site", Ok(())),
            (
                "POST /; host: example.com; origin: https://attacker.example; sec-fetch-site: cross-site",
                Err(Reason::CrossSite),
            ),
        ],
    );
}

/// The cases of gorilla/csrf (CVE-2025-24358, CVE-2025-47909), of Django (referers, trusted origins with a scheme) and of Rails
/// (an origin that is not the base URL beats `same-origin`; `null` raises).
#[test]
fn the_cases_of_gorilla_django_and_rails() {
    let origins = Origins::new(["https://www.gorillatoolkit.org"], ["https://dashboard.example.com"]).unwrap();
    table(
        &origins,
        &[
            ("POST /; host: www.gorillatoolkit.org; referer: https://www.gorillatoolkit.org/", Ok(())),
            ("POST /; host: www.gorillatoolkit.org; referer: http://golang.org/", Err(Reason::BadOrigin)),
            (
                "POST /; host: www.gorillatoolkit.org; referer: https://evil.www.gorillatoolkit.org/",
                Err(Reason::BadOrigin),
            ),
            ("POST /; host: www.gorillatoolkit.org; referer: http://www.gorillatoolkit.org/", Err(Reason::BadOrigin)),
            ("POST /; host: www.gorillatoolkit.org; origin: http://www.gorillatoolkit.org", Err(Reason::BadOrigin)),
            ("POST /; host: www.gorillatoolkit.org; origin: http://dashboard.example.com", Err(Reason::BadOrigin)),
            ("POST /; host: www.gorillatoolkit.org; origin: https://dashboard.example.com", Ok(())),
            (
                "POST /; host: www.gorillatoolkit.org; origin: https://dashboard.example.com.evil",
                Err(Reason::BadOrigin),
            ),
            ("POST /; host: www.gorillatoolkit.org; origin: https://bad-dashboard.example.com", Err(Reason::BadOrigin)),
            (
                "POST /; host: www.gorillatoolkit.org; referer: http://http://www.gorillatoolkit.org/",
                Err(Reason::BadOrigin),
            ),
            ("POST /; host: www.gorillatoolkit.org; referer: https:", Err(Reason::BadOrigin)),
            (
                "POST /; host: www.gorillatoolkit.org; referer: https://www.gorillatoolkit.org:notaport/",
                Err(Reason::BadOrigin),
            ),
            ("POST /; host: www.gorillatoolkit.org; referer: foo", Err(Reason::BadOrigin)),
            (
                "POST /; host: www.gorillatoolkit.org; origin: https://evil; sec-fetch-site: same-origin",
                Err(Reason::BadOrigin),
            ),
            (
                "POST /; host: www.gorillatoolkit.org; origin: null; sec-fetch-site: same-origin",
                Err(Reason::NullOrigin),
            ),
            ("POST /; host: www.gorillatoolkit.org; sec-fetch-site: same-site", Err(Reason::CrossSite)),
        ],
    );
}

/// The cases that tower-http adds to Go's (0.7.1). Where ours differs, the line says so.
#[test]
fn the_cases_of_tower_http() {
    table(
        &Origins::default(),
        &[
            ("POST /; host: example.com; origin: https://example.com", Ok(())),
            ("POST /; host: example.com:8443; origin: https://example.com:8443", Ok(())),
            ("POST /; host: example.com:443; origin: https://example.com:443", Ok(())),
            ("POST /; host: example.com:8443; origin: https://example.com:8444", Err(Reason::BadOrigin)),
            // Theirs refuses the next two: ours knows that 443 is the port of https.
            ("POST /; host: example.com; origin: https://example.com:443", Ok(())),
            ("POST /; host: example.com:443; origin: https://example.com", Ok(())),
            ("POST /; host: example.com:443; origin: http://example.com", Err(Reason::BadOrigin)),
            ("POST /; origin: https://example.com", Err(Reason::BadOrigin)),
            ("POST /; host: exa mple; origin: https://example.com", Err(Reason::BadOrigin)),
            ("POST https://example.com/; host: other; origin: https://example.com", Ok(())),
            ("POST https://other/; host: example.com; origin: https://example.com", Err(Reason::BadOrigin)),
            ("POST /; host: example.com; origin: example.com", Err(Reason::BadOrigin)),
            ("POST /; host: example.com; origin: ftp://example.com", Err(Reason::BadOrigin)),
            ("POST /; host: example.com; origin: https://exämple.com", Err(Reason::BadOrigin)),
            ("POST /; host: example.com; origin: ; sec-fetch-site: ", Ok(())),
        ],
    );
    let trusting = Origins::new([], ["https://t.example"]).unwrap();
    table(
        &trusting,
        &[
            ("POST /; host: h; origin: https://T.example; sec-fetch-site: cross-site", Err(Reason::CrossSite)),
            // Theirs refuses this one: default ports again.
            ("POST /; host: h; origin: https://t.example:443; sec-fetch-site: cross-site", Ok(())),
        ],
    );
}

/// What `tower_http::csrf` says of a request, with the same trusted origin and no public ones.
fn theirs(request: &Request<()>) -> bool {
    use tower::{Layer, ServiceExt};
    let inner = tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    });
    let layer = tower_http::csrf::CsrfLayer::new().add_trusted_origin("https://t").unwrap();
    let response = block_on(layer.layer(inner).oneshot(request.clone())).unwrap();
    response.status() == 200
}

proptest! {
    /// Whatever tower-http refuses, ours refuses, but for default ports, of which there are none here. What it lets pass and
    /// ours does not is of the kinds that the documentation of `Origins` lists.
    #[test]
    fn ours_refuses_whatever_tower_http_refuses(
        method in prop::sample::select(vec!["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"]),
        target in prop::sample::select(vec!["/", "http://h/", "https://other:8443/"]),
        host in prop::sample::select(vec!["", "h", "h:8080", "t", "H", "h, h"]),
        origin in prop::sample::select(vec![
            "", "null", "https://h", "http://h", "http://h:8080", "https://t", "https://evil", "https://h.evil", "h", "ftp://h",
            "https://other:8443", "https://h/", "https://x@h",
        ]),
        site in prop::sample::select(vec!["", "same-origin", "none", "same-site", "cross-site", "Same-Origin", "junk"]),
    ) {
        let text = format!("{method} {target}; host: {host}; origin: {origin}; sec-fetch-site: {site}");
        let request = build(&text).body(()).unwrap();
        let head = Head { method: request.method(), uri: request.uri(), headers: request.headers() };
        let origins = Origins::new([], ["https://t"]).unwrap();
        let (ours, theirs) = (origins.check(head, false, false), theirs(&request));
        if !theirs {
            // Hosts are equal in any case to ours.
            prop_assert!(ours.is_err() || host == "H", "{}", text);
        } else if let Err(reason) = ours {
            let known = reason == Reason::NullOrigin
                || reason == Reason::BadOrigin && (origin.ends_with('/') || origin.contains('@') || target.starts_with("https"));
            let known = known || reason == Reason::BadOrigin && origin.starts_with("ftp");
            prop_assert!(known, "{} {:?}", text, reason);
        }
    }
}
