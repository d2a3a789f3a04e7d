//! Cross-site request forgery, end to end.

use crate::accounts::{Person, closed, closed_with, generous};
use crate::bed::Bed;
use crate::client::call;
use staunch_engine::Limits;
use staunch_server::ServerConfig;

const PATH: &str = "/api/v1/workflows/validate";

#[tokio::test]
async fn a_session_needs_a_token_of_its_own() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let other = Person::login(at, "root").await;
    let without = Person { csrf: None, ..root.clone() };
    // 415 is the handler's: it was reached.
    root.call(at, "POST", PATH, None).await.problem(415, "unsupported_media_type");
    without.call(at, "POST", PATH, None).await.problem(403, "csrf_token_missing");
    for (token, code) in [
        (other.csrf.as_deref().unwrap(), "csrf_token_invalid"),
        ("short", "csrf_token_malformed"),
        ("", "csrf_token_missing"),
    ] {
        let person = Person { csrf: Some(token.to_owned()), ..root.clone() };
        person.call(at, "POST", PATH, None).await.problem(403, code);
    }
    let twice = [("x-csrf-token", root.csrf.as_deref().unwrap())];
    root.call_with(at, "POST", PATH, &twice, None).await.problem(403, "duplicate_header");
    bed.close().await;
}

#[tokio::test]
async fn the_header_wins_over_the_form() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let (cookie, token) = (root.cookie.as_deref().unwrap(), root.csrf.as_deref().unwrap());
    let form = [("cookie", cookie), ("content-type", "application/x-www-form-urlencoded")];
    let post = async |more: &[(&str, &str)], body: String| {
        let headers: Vec<_> = form.iter().chain(more).copied().collect();
        call(at, "POST", PATH, &headers, body).await
    };
    post(&[], format!("a=b&csrf_token={token}")).await.problem(415, "unsupported_media_type");
    post(&[], "a=b".to_owned()).await.problem(403, "csrf_token_missing");
    post(&[], format!("csrf_token={token}&csrf_token={token}")).await.problem(403, "csrf_token_repeated");
    let wrong = "A".repeat(43);
    post(&[("x-csrf-token", &wrong)], format!("csrf_token={token}")).await.problem(403, "csrf_token_invalid");
    post(&[("x-csrf-token", token)], format!("csrf_token={wrong}")).await.problem(415, "unsupported_media_type");
    bed.close().await;
}

#[tokio::test]
async fn ground_g1_five_fresh_tokens_live_and_the_oldest_goes_first() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let mut tokens = vec![root.csrf.clone().unwrap()];
    for _ in 0..5 {
        let answer = root.get(at, "/api/v1/csrf?fresh=1").await;
        tokens.push(answer.json()["token"].as_str().unwrap().to_owned());
    }
    for (i, token) in tokens.iter().enumerate() {
        let person = Person { csrf: Some(token.clone()), ..root.clone() };
        let (status, code) = if i == 0 { (403, "csrf_token_invalid") } else { (415, "unsupported_media_type") };
        person.call(at, "POST", PATH, None).await.problem(status, code);
    }
    // Without `fresh` the newest secret is shown again, masked anew.
    let again = root.get(at, "/api/v1/csrf").await.json()["token"].as_str().unwrap().to_owned();
    assert!(!tokens.contains(&again));
    let person = Person { csrf: Some(tokens[1].clone()), ..root.clone() };
    person.call(at, "POST", PATH, None).await.problem(415, "unsupported_media_type");
    bed.close().await;
}

#[tokio::test]
async fn another_site_gets_nowhere_and_a_program_with_a_token_everywhere() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let bearer = Person::token(root.make_token(at, "run").await["token"].as_str().unwrap());
    for (headers, code) in [
        (&[("sec-fetch-site", "cross-site")][..], "cross_site"),
        (&[("sec-fetch-site", "same-site")], "cross_site"),
        (&[("origin", "http://evil.example")], "bad_origin"),
        (&[("origin", "null")], "null_origin"),
    ] {
        root.call_with(at, "POST", PATH, headers, None).await.problem(403, code);
        let login = Person::nobody().call_with(at, "POST", "/api/v1/login", headers, None).await;
        login.problem(403, code);
        bearer.call_with(at, "POST", PATH, headers, None).await.problem(415, "unsupported_media_type");
    }
    let without = Person { csrf: None, ..root.clone() };
    assert_eq!(without.call(at, "POST", PATH, None).await.header("vary"), "Cookie, Origin, Sec-Fetch-Site");
    // No cache stores an answer to a POST that does not say for how long.
    let passed = root.call(at, "POST", PATH, None).await;
    assert_eq!((passed.header("vary"), passed.header("cache-control")), ("", "no-store"));
    // A token beside the cookie: the cookie is not looked at, so neither is CSRF.
    let both = Person { bearer: bearer.bearer.clone(), csrf: None, ..root.clone() };
    both.call(at, "POST", PATH, None).await.problem(415, "unsupported_media_type");
    let text = String::from_utf8(root.get(at, "/metrics").await.body.to_vec()).unwrap();
    assert!(text.contains("staunch_csrf_refused_total{reason=\"cross_site\"} 4"), "{text}");
    bed.close().await;
}

#[tokio::test]
async fn a_link_on_another_site_leads_to_pages_and_not_into_the_api() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    for site in ["cross-site", "same-site"] {
        let link = [("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        for path in ["/", "/account", "/memory", "/login", "/problems/full"] {
            let answer = root.call_with(at, "GET", path, &link, None).await;
            assert!(matches!(answer.status, 200 | 303), "{path}: {answer:?}");
        }
        for path in
            ["/api/v1/me", "/api/v1/runs", "/api/v1/audit", "/api/v1/openapi.json", "/api/v1/events?topics=runs"]
        {
            root.call_with(at, "GET", path, &link, None).await.problem(403, "cross_site");
        }
        // Five of these would make all forms that are open worthless.
        for _ in 0..6 {
            root.call_with(at, "GET", "/api/v1/csrf?fresh=1", &link, None).await.problem(403, "cross_site");
        }
        // A bookmark, an address that was typed, a link of our own.
        for site in ["none", "same-origin"] {
            let own = [("sec-fetch-site", site), ("sec-fetch-mode", "navigate")];
            assert_eq!(root.call_with(at, "GET", "/api/v1/runs", &own, None).await.status, 200);
        }
    }
    root.call(at, "POST", PATH, None).await.problem(415, "unsupported_media_type");
    bed.close().await;
}

/// Before there were logins, the host check looked at these: as then, but that a foreign `Origin` has its own word now.
#[tokio::test]
async fn pages_of_other_sites_cannot_change_anything_while_everybody_is_admin() {
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let bed = Bed::new(&[]).await;
    let origin = "http://localhost";
    let cases: &[(&str, Headers<'_>, Option<&str>)] = &[
        ("POST", &[], None),
        ("POST", &[("sec-fetch-site", "same-origin")], None),
        ("POST", &[("sec-fetch-site", "none")], None),
        ("POST", &[("sec-fetch-site", "cross-site")], Some("cross_site")),
        ("POST", &[("sec-fetch-site", "same-site")], Some("cross_site")),
        ("POST", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], Some("cross_site")),
        ("POST", &[("sec-fetch-site", "what")], Some("cross_site")),
        ("POST", &[("origin", origin)], None),
        ("POST", &[("origin", "http://localhost:7878")], Some("bad_origin")),
        ("POST", &[("origin", "http://evil.example")], Some("bad_origin")),
        ("POST", &[("origin", "null")], Some("null_origin")),
        ("POST", &[("origin", "http://localhost.evil.example")], Some("bad_origin")),
        ("GET", &[("sec-fetch-site", "cross-site")], Some("cross_site")),
        ("GET", &[("sec-fetch-site", "same-site")], Some("cross_site")),
        ("GET", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], Some("cross_site")),
        ("GET", &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], None),
        ("GET", &[("origin", "http://evil.example")], None),
    ];
    for (method, headers, code) in cases {
        let path = if *method == "GET" { "/api/v1/runs" } else { PATH };
        let answer = call(bed.address(), method, path, headers, "").await;
        match code {
            Some(code) => {
                answer.problem(403, code);
            }
            None => assert!([200, 415].contains(&answer.status), "{method} {headers:?}: {answer:?}"),
        }
    }
    bed.close().await;
}

#[tokio::test]
async fn with_a_public_url_only_its_pages_count_and_cookies_are_its_own() {
    let config = ServerConfig {
        public_url: Some("https://flows.example".to_owned()),
        rates: generous(),
        ..ServerConfig::default()
    };
    let (bed, root) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    assert!(root.cookie.as_deref().unwrap().starts_with("__Host-staunch="));
    let from = |origin: &'static str| [("origin", origin)];
    let good = root.call_with(at, "POST", PATH, &from("https://flows.example"), None).await;
    good.problem(415, "unsupported_media_type");
    assert_eq!(good.header("strict-transport-security"), "max-age=63072000");
    for bad in ["http://flows.example", "http://localhost", "https://flows.example.evil.example"] {
        root.call_with(at, "POST", PATH, &from(bad), None).await.problem(403, "bad_origin");
    }
    // The name of the other mode is no session here.
    let plain = root.cookie.as_deref().unwrap().replace("__Host-staunch", "staunch_session");
    let downgraded = Person { cookie: Some(plain), ..Person::default() };
    downgraded.get(at, "/api/v1/me").await.problem(401, "unauthenticated");
    bed.close().await;
}
