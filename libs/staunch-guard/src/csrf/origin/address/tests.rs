//! Tests of origins as they are configured and as they are seen.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn what_is_configured_is_brought_into_one_form() {
    for (text, shown) in [
        ("https://example.com", "https://example.com"),
        ("HTTPS://Example.COM:443", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("https://example.com:8443", "https://example.com:8443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://192.168.1.9", "http://192.168.1.9"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        ("https://xn--exmple-cua.com", "https://xn--exmple-cua.com"),
        ("https://under_score.example", "https://under_score.example"),
    ] {
        assert_eq!(text.parse::<Origin>().unwrap().to_string(), shown);
    }
}

/// The refusals of Go's and of tower-http's configuration, Django's patterns, and some more; each says what is wrong.
#[test]
fn what_is_no_origin_is_refused_with_the_reason() {
    for (text, fault) in [
        ("", OriginFault::Scheme),
        ("null", OriginFault::Scheme),
        ("example.com", OriginFault::Scheme),
        ("example.com:443", OriginFault::Scheme),
        ("//example.com", OriginFault::Scheme),
        ("ftp://example.com", OriginFault::Scheme),
        ("file:///etc", OriginFault::Scheme),
        ("mailto:a@example.com", OriginFault::Scheme),
        ("javascript:alert(1)", OriginFault::Scheme),
        ("https:/example.com", OriginFault::Scheme),
        (" https://example.com", OriginFault::Scheme),
        ("https://example.com/", OriginFault::Tail),
        ("https://example.com/path", OriginFault::Tail),
        ("https://example.com?query", OriginFault::Tail),
        ("https://example.com#", OriginFault::Tail),
        ("https://example.com\\", OriginFault::Tail),
        ("https://user@example.com", OriginFault::User),
        ("https://user:word@example.com", OriginFault::User),
        ("https://*.example.com", OriginFault::Pattern),
        ("https://exämple.com", OriginFault::NotAscii),
        ("https://example.com.", OriginFault::TrailingDot),
        ("https://", OriginFault::Host),
        ("https://:443", OriginFault::Host),
        ("https://a..b", OriginFault::Host),
        ("https://exa mple.com", OriginFault::Host),
        ("https://example.com ", OriginFault::Host),
        ("https://a,b", OriginFault::Host),
        ("https://[::1", OriginFault::Host),
        ("https://[::1]x", OriginFault::Host),
        ("https://[fe80::1%25eth0]", OriginFault::Host),
        ("https://::1", OriginFault::Host),
        ("https://127.1", OriginFault::Host),
        ("https://0x7f.0.0.1.0x1", OriginFault::Host),
        ("https://256.0.0.1", OriginFault::Host),
        ("https://example.com:", OriginFault::Port),
        ("https://example.com:0", OriginFault::Port),
        ("https://example.com:0443", OriginFault::Port),
        ("https://example.com:+443", OriginFault::Port),
        ("https://example.com:65536", OriginFault::Port),
        ("https://example.com:notaport", OriginFault::Port),
    ] {
        let error = text.parse::<Origin>().unwrap_err();
        assert_eq!(error.fault, fault, "{text}");
        assert!(error.to_string().starts_with(&format!("{text:?} is no origin: ")));
    }
    let long = format!("https://{}.example", "a".repeat(1000)).parse::<Origin>().unwrap_err();
    assert_eq!((long.fault, long.text.len()), (OriginFault::Host, 200));
}

/// Trap 37: prefixes, suffixes, users, dots, ports, brackets, case.
#[test]
fn only_the_same_tuple_is_the_same_origin() {
    let ours: Origin = "https://app.example".parse().unwrap();
    let is = |text: &str| Seen::origin(text.as_bytes()).is_some_and(|seen| ours.is(&seen));
    for same in ["https://app.example", "https://app.example:443"] {
        assert!(is(same), "{same}");
    }
    for other in [
        "http://app.example",
        "http://app.example:443",
        "https://app.example:8443",
        "https://app.example.evil",
        "https://evil-app.example",
        "https://evil.app.example",
        "https://app.exampl",
        "https://app.example.",
        "https://app.example@evil",
        "https://user@app.example",
        "https://app.example/",
        "https://App.example",
        "HTTPS://app.example",
        "https://app.example, https://app.example",
        "https://app.example https://evil",
        "https://[app.example]",
        "https://app.example:443:443",
        "https://app.example:",
        "https:app.example",
        "//app.example",
        "app.example",
        "null",
        "",
    ] {
        assert!(!is(other), "{other}");
    }
    assert!(Seen::origin(b"https://app.example\xff").is_none());
    let local: Origin = "http://[::1]:80".parse().unwrap();
    assert!(Seen::origin(b"http://[::1]").is_some_and(|seen| local.is(&seen)));
    assert!(Seen::origin(b"http://[0::1]").is_some_and(|seen| local.is(&seen)));
    assert!(!Seen::origin(b"http://[::2]").is_some_and(|seen| local.is(&seen)));
}

/// As in Django's tests: a referer that is no URL, or has a port that is none, is nobody's.
#[test]
fn a_referer_gives_its_origin_or_nothing() {
    let ours: Origin = "https://www.example.com".parse().unwrap();
    let is = |text: &str| Seen::referer(text.as_bytes()).is_some_and(|seen| ours.is(&seen));
    for same in [
        "https://www.example.com/",
        "https://www.example.com",
        "https://www.example.com:443/a?b#c",
        "https://www.example.com?b",
    ] {
        assert!(is(same), "{same}");
    }
    for other in [
        "http://www.example.com/",
        "https://www.evil.org/https://www.example.com",
        "https://www.example.com@evil.org/",
        "https://www.example.com:notaport/",
        "https://www.example.com:8443/",
        "http://http://www.example.com/",
        "https:",
        "https://",
        "foo",
        "",
        "b'foo'",
        "https://www.example.com\\@evil.org/",
    ] {
        assert!(!is(other), "{other}");
    }
}
