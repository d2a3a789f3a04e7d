//! Tests of the layer, with a server behind it that records what reaches it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod built;
mod forms;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};

use http::request::Builder;
use http::{HeaderMap, HeaderName, Method};
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;

use super::*;
use crate::csrf::caller::Caller;
use crate::csrf::fakes::{Chunks, block_on};
use crate::csrf::reason::Reason;
use crate::csrf::store::{CsrfStore, StoreLimits};
use crate::csrf::token::Token;
use crate::refusal::Refusal;

const MULTIPART: &str = "multipart/form-data; boundary=border";

/// What a server behind the guard saw.
#[derive(Default)]
struct Record {
    calls: AtomicU32,
    polls: AtomicU32,
    bodies: Mutex<Vec<(Vec<u8>, Option<HeaderMap>)>>,
    reported: Mutex<Vec<Reason>>,
}

/// A server that reads the body and answers 200. It is ready once only, so that who calls it without asking is found out.
struct Recorder {
    record: Arc<Record>,
    ready: bool,
}

impl Clone for Recorder {
    fn clone(&self) -> Self {
        Self { record: Arc::clone(&self.record), ready: false }
    }
}

impl Service<Request<Replay<Chunks>>> for Recorder {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Replay<Chunks>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being asked whether it is ready");
        let record = Arc::clone(&self.record);
        record.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(Reported(reason)) = request.extensions().get() {
            record.reported.lock().unwrap().push(*reason);
        }
        let answer_with =
            request.headers().get("answer-with").and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
        Box::pin(async move {
            record.polls.fetch_add(1, Ordering::Relaxed);
            let collected = request.into_body().collect().await.unwrap();
            let trailers = collected.trailers().cloned();
            record.bodies.lock().unwrap().push((collected.to_bytes().to_vec(), trailers));
            let mut response = Response::new(Full::from("done"));
            response.headers_mut().insert("vary", "Accept, origin".parse().unwrap());
            if let Some(name) = answer_with {
                response.headers_mut().insert(name, "max-age=60".parse().unwrap());
            }
            Ok(response)
        })
    }
}

type Clock = fn() -> u32;
type Guard = CsrfLayer<CsrfStore, Clock>;

struct Bench {
    store: Arc<CsrfStore>,
    layer: Guard,
    record: Arc<Record>,
}

const SESSION: Bytes = Bytes::from_static(b"session");

impl Bench {
    fn new() -> Self {
        let store = Arc::new(CsrfStore::new(StoreLimits::default()).unwrap());
        let origins = Origins::new(["https://h"], []).unwrap();
        let layer = CsrfLayer::new(origins, Arc::clone(&store), (|| 1000) as Clock);
        Self { store, layer, record: Arc::default() }
    }

    fn with(mut self, change: impl FnOnce(Guard) -> Guard) -> Self {
        self.layer = change(self.layer);
        self
    }

    fn token(&self) -> Token {
        self.store.current(&SESSION, 1000).unwrap()
    }

    fn send(&self, request: Request<Chunks>) -> Response<Full<Bytes>> {
        let guarded = self.layer.layer(Recorder { record: Arc::clone(&self.record), ready: false });
        block_on(guarded.oneshot(request)).unwrap()
    }

    /// Sends it, and says the status and the code of the refusal; checks that the server was called if and only if it was not
    /// refused.
    fn outcome(&self, request: Request<Chunks>) -> (u16, &'static str) {
        let calls = |record: &Record| (record.calls.load(Ordering::Relaxed), record.polls.load(Ordering::Relaxed));
        let before = calls(&self.record);
        let response = self.send(request);
        let refusal = response.extensions().get::<Refusal>();
        let called = u32::from(refusal.is_none());
        assert_eq!(calls(&self.record), (before.0 + called, before.1 + called));
        (response.status().as_u16(), refusal.map_or("", |refusal| refusal.code))
    }

    /// The same of a POST of the session from our own page.
    fn post(&self, change: impl FnOnce(Builder) -> Builder, body: &str) -> (u16, &'static str) {
        self.outcome(change(post()).body(Chunks::new(body.as_bytes(), 10)).unwrap())
    }
}

fn post() -> Builder {
    Request::post("/x?csrf_token=never").header("origin", "https://h").extension(Caller::Session(SESSION))
}

const OK: (u16, &str) = (200, "");
const MISSING: (u16, &str) = (403, "csrf_token_missing");
const INVALID: (u16, &str) = (403, "csrf_token_invalid");
const MALFORMED: (u16, &str) = (403, "csrf_token_malformed");
const URLENCODED: &str = "application/x-www-form-urlencoded";

#[test]
fn a_session_needs_its_token_in_the_header() {
    let bench = Bench::new();
    let token = bench.token();
    let other = bench.store.current(b"other", 1000).unwrap();
    assert_eq!(bench.post(|post| post.header("x-csrf-token", token.as_str()), ""), OK);
    assert_eq!(bench.post(|post| post.header("X-CSRF-Token", token.as_str()), "body"), OK);
    assert_eq!(bench.post(|post| post, ""), MISSING);
    assert_eq!(bench.post(|post| post.header("x-csrf-token", ""), ""), MISSING);
    assert_eq!(bench.post(|post| post.header("x-csrf-token", "x"), ""), MALFORMED);
    // Trap 22: of another session.
    assert_eq!(bench.post(|post| post.header("x-csrf-token", other.as_str()), ""), INVALID);
    let twice = |post: Builder| post.header("x-csrf-token", token.as_str()).header("x-csrf-token", token.as_str());
    assert_eq!(bench.post(twice, ""), (403, "duplicate_header"));
    // Trap 17: ended sessions, and ids that have changed.
    bench.store.rotate(&SESSION, b"new");
    assert_eq!(bench.post(|post| post.header("x-csrf-token", token.as_str()), ""), INVALID);
    let old = bench.token();
    let gate = Gate { clock: (|| 1000 + 24 * 60 * 60) as Clock, ..bench.layer.gate.clone() };
    let bench = Bench { layer: CsrfLayer { gate }, ..bench };
    assert_eq!(bench.post(|post| post.header("x-csrf-token", old.as_str()), ""), (403, "csrf_token_expired"));
}

/// Trap 33: the header wins, and a wrong one is not made good by a right field.
#[test]
fn a_wrong_header_does_not_fall_back_to_the_field() {
    let bench = Bench::new();
    let form = format!("csrf_token={}", bench.token().as_str());
    for (header, expected) in [("", MISSING), ("wrong", MALFORMED), (&"A".repeat(43), INVALID)] {
        let headers = |post: Builder| post.header("content-type", URLENCODED).header("x-csrf-token", header);
        assert_eq!(bench.post(headers, &form), expected);
    }
    let token = bench.token();
    let right = |post: Builder| post.header("content-type", URLENCODED).header("x-csrf-token", token.as_str());
    assert_eq!(bench.post(right, "csrf_token=wrong"), OK);
}

/// Traps 29 and 31: every unsafe method of a session, of any type of content, known or not.
#[test]
fn every_method_but_three_needs_a_token_whatever_the_content_is() {
    let bench = Bench::new();
    let token = bench.token();
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "post", "QUERY"] {
        for content in ["", "text/plain", "application/json", "multipart/form-data; boundary", "APPLICATION/JSON"] {
            let request = |token: Option<&Token>| {
                let mut request = post().method(method).header("content-type", content);
                // Trap 30: a header that names another method means nothing.
                request = request.header("x-http-method-override", "GET");
                if let Some(token) = token {
                    request = request.header("x-csrf-token", token.as_str());
                }
                request.body(Chunks::new(b"csrf_token=x", 5)).unwrap()
            };
            assert_eq!(bench.outcome(request(None)), MISSING, "{method} {content}");
            assert_eq!(bench.outcome(request(Some(&token))), OK, "{method} {content}");
        }
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let request = post().method(method).header("sec-fetch-site", "cross-site");
        assert_eq!(bench.outcome(request.body(Chunks::default()).unwrap()), OK);
    }
}

/// Trap 49: the result of authentication counts; that there is an `Authorization` header does not.
#[test]
fn bearer_is_exempt_by_result_and_nobody_by_a_header() {
    let bench = Bench::new();
    let send = |caller: Option<Caller<Bytes>>, origin: &str| {
        let mut request = Request::post("/").header("authorization", "Bearer x").header("origin", origin);
        if let Some(caller) = caller {
            request = request.extension(caller);
        }
        bench.outcome(request.body(Chunks::default()).unwrap())
    };
    assert_eq!(send(Some(Caller::Bearer), "https://evil"), OK);
    assert_eq!(send(Some(Caller::Bearer), "null"), OK);
    assert_eq!(send(Some(Caller::Session(SESSION)), "https://h"), MISSING);
    assert_eq!(send(Some(Caller::Anonymous), "https://h"), OK);
    assert_eq!(send(Some(Caller::Anonymous), "https://evil"), (403, "bad_origin"));
    // The server forgot to say: nothing gets through.
    assert_eq!(send(None, "https://h"), (500, "csrf_caller_unknown"));
    let wrong = Request::post("/").header("origin", "https://h").extension(Caller::Session(7u8));
    assert_eq!(bench.outcome(wrong.body(Chunks::default()).unwrap()), (500, "csrf_caller_unknown"));
    let duplicate = Request::post("/").header("origin", "a").header("origin", "b").extension(Caller::<Bytes>::Bearer);
    assert_eq!(bench.outcome(duplicate.body(Chunks::default()).unwrap()), (403, "duplicate_header"));
}

/// The origin comes first: a right token does not help another site, and the body is not touched.
#[test]
fn the_origin_is_looked_at_before_the_token_and_the_body() {
    let bench = Bench::new();
    let token = bench.token();
    for (origin, site, code) in [
        ("https://evil", "cross-site", "cross_site"),
        ("https://evil", "", "bad_origin"),
        ("null", "", "null_origin"),
        ("http://h", "same-origin", "bad_origin"),
    ] {
        let body = Chunks::new(format!("csrf_token={}", token.as_str()).as_bytes(), 10);
        let taken = Arc::clone(&body.taken);
        let request = Request::post("/").header("origin", origin).header("sec-fetch-site", site);
        let request = request.header("content-type", URLENCODED).extension(Caller::Session(SESSION));
        assert_eq!(bench.outcome(request.body(body).unwrap()), (403, code));
        assert_eq!(taken.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn a_body_that_breaks_is_a_bad_request_even_if_the_guard_only_reports() {
    for bench in [Bench::new(), Bench::new().with(CsrfLayer::report_only)] {
        let body = Chunks::new(b"csrf_token=", 3).breaks();
        let request = post().header("content-type", URLENCODED).body(body).unwrap();
        assert_eq!(bench.outcome(request), (400, "csrf_body_unreadable"));
    }
}

/// Traps 50 and 51: upgrades, event streams, and reads of an API.
#[test]
fn upgrades_and_reads_by_a_session_are_refused_to_other_sites() {
    let pages = Bench::new();
    let api = Bench::new().with(CsrfLayer::protect_reads);
    let get = |header: (&str, &str), site: &str, caller: Option<Caller<Bytes>>| {
        let mut request = Request::get("/").header(header.0, header.1);
        if !site.is_empty() {
            request = request.header("sec-fetch-site", site);
        }
        if let Some(caller) = caller {
            request = request.extension(caller);
        }
        request.body(Chunks::default()).unwrap()
    };
    let session = || Some(Caller::Session(SESSION));
    let html = ("accept", "text/html");
    let events = ("accept", "text/event-stream");
    let refused = (403, "cross_site");
    for site in ["cross-site", "same-site", "junk"] {
        assert_eq!(pages.outcome(get(html, site, session())), OK);
        assert_eq!(api.outcome(get(html, site, session())), refused);
        assert_eq!(pages.outcome(get(events, site, session())), refused);
        assert_eq!(api.outcome(get(events, site, Some(Caller::Anonymous))), OK);
        assert_eq!(api.outcome(get(events, site, Some(Caller::Bearer))), OK);
        // Nobody said who calls: as if by a session.
        assert_eq!(api.outcome(get(html, site, None)), refused);
        let upgrade = get(("upgrade", "websocket"), site, Some(Caller::Anonymous));
        assert_eq!(pages.outcome(upgrade), refused);
    }
    for site in ["", "same-origin", "none"] {
        assert_eq!(api.outcome(get(events, site, session())), OK);
    }
    assert_eq!(pages.outcome(get(("upgrade", "websocket"), "", session())), (403, "origin_missing"));
    assert_eq!(pages.outcome(get(("upgrade", "websocket"), "same-origin", session())), OK);
    let connect = |origin| {
        let request = post().method(Method::CONNECT).uri("h:443");
        let request = if origin { request } else { Request::connect("h:443").extension(Caller::Session(SESSION)) };
        request.body(Chunks::default()).unwrap()
    };
    assert_eq!((pages.outcome(connect(true)), pages.outcome(connect(false))), (OK, (403, "origin_missing")));
}

/// A route without tokens is strict, by construction.
#[test]
fn without_tokens_the_origin_must_be_told() {
    let bench = Bench::new().with(CsrfLayer::origin_only);
    assert_eq!(bench.post(|post| post, ""), OK);
    for site in ["", "none"] {
        let request = Request::post("/").header("sec-fetch-site", site).extension(Caller::Session(SESSION));
        assert_eq!(bench.outcome(request.body(Chunks::default()).unwrap()), (403, "origin_missing"));
    }
    // With tokens, the same pass the first stage and meet the second (traps 40 and 41).
    let bench = Bench::new();
    let token = bench.token();
    for site in ["", "none"] {
        let request = |token: &str| {
            let request = Request::post("/").header("sec-fetch-site", site).header("x-csrf-token", token);
            request.extension(Caller::Session(SESSION)).body(Chunks::default()).unwrap()
        };
        assert_eq!((bench.outcome(request("")), bench.outcome(request(token.as_str()))), (MISSING, OK));
    }
}

#[test]
fn report_only_lets_pass_and_says_so() {
    let bench = Bench::new().with(CsrfLayer::report_only);
    let form = "a=1&".to_owned() + &"x".repeat(100_000);
    for (request, reason) in [
        (Request::post("/").header("origin", "https://evil"), Reason::BadOrigin),
        (post(), Reason::TokenMissing),
        (post().header("content-type", URLENCODED), Reason::FormTooLarge),
        (post().header("content-type", MULTIPART), Reason::TokenMissing),
    ] {
        let body = Chunks::new(form.as_bytes(), 1000);
        let response = bench.send(request.extension(Caller::Session(SESSION)).body(body).unwrap());
        assert_eq!((response.status().as_u16(), response.extensions().get()), (200, Some(&Reported(reason))));
        assert_eq!(bench.record.reported.lock().unwrap().pop(), Some(reason));
        let (seen, _) = bench.record.bodies.lock().unwrap().pop().unwrap();
        assert!(seen == form.as_bytes(), "{reason:?}");
        assert!(bench.layer.counters().against(reason) > 0);
    }
    assert_eq!((bench.layer.counters().passed(), bench.layer.forms().used()), (0, 0));
}

/// Trap 43: the answer says which check failed, what it saw, and what to do; trap 56: `Vary` once, on refusals too.
#[test]
fn a_refusal_says_what_it_saw() {
    let bench = Bench::new();
    let request = Request::post("/").header("origin", "https://evil").extension(Caller::Session(SESSION));
    let response = bench.send(request.body(Chunks::default()).unwrap());
    assert_eq!(response.extensions().get(), Some(&Reason::BadOrigin));
    assert_eq!(response.headers()["vary"], "Cookie, Origin, Sec-Fetch-Site");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem = block_on(response.into_body().collect()).unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap();
    assert_eq!((&problem["code"], &problem["origin"]), (&"bad_origin".into(), &"https://evil".into()));
    assert!(problem["hint"].as_str().unwrap().contains("public origins"));

    let long = "https://".to_owned() + &"a".repeat(5000);
    let request = Request::post("/").header("origin", long).extension(Caller::Session(SESSION));
    let response = bench.send(request.body(Chunks::default()).unwrap());
    let seen = response.extensions().get::<Refusal>().unwrap().members["origin"].as_str().map(str::len);
    assert_eq!(seen, Some(200));

    // No cache stores an answer to a POST that does not say for how long, or one of which nothing was looked at.
    let token = bench.token();
    let post = || post().header("x-csrf-token", token.as_str());
    let response = bench.send(post().body(Chunks::default()).unwrap());
    assert_eq!(response.headers()["vary"], "Accept, origin");
    for header in ["cache-control", "expires"] {
        let response = bench.send(post().header("answer-with", header).body(Chunks::default()).unwrap());
        assert_eq!(response.headers()["vary"], "Accept, origin, Cookie, Sec-Fetch-Site", "{header}");
    }
    let read = Request::get("/").header("accept", "text/event-stream").extension(Caller::Session(SESSION));
    let response = bench.send(read.body(Chunks::default()).unwrap());
    assert_eq!(response.headers()["vary"], "Accept, origin, Cookie, Sec-Fetch-Site");
    let response = bench.send(Request::get("/").body(Chunks::default()).unwrap());
    assert_eq!(response.headers()["vary"], "Accept, origin");
}

/// A server may say who calls by something of its own, and then what stands in the extensions says nothing.
#[test]
fn who_calls_may_be_found_by_the_server() {
    let mut bench = Bench::new();
    bench.layer = bench.layer.caller(|headers, _| match headers.get("who")?.as_bytes() {
        b"anonymous" => Some(Caller::Anonymous),
        b"bearer" => Some(Caller::Bearer),
        _ => Some(Caller::Session(SESSION)),
    });
    let status = |who: &'static str, token: &str| {
        let mut request = Request::post("/").header("origin", "https://h").extension(Caller::<Bytes>::Bearer);
        if !who.is_empty() {
            request = request.header("who", who);
        }
        if !token.is_empty() {
            request = request.header("x-csrf-token", token);
        }
        bench.send(request.body(Chunks::default()).unwrap()).status().as_u16()
    };
    let token = bench.token();
    assert_eq!([status("anonymous", ""), status("bearer", "")], [200, 200]);
    assert_eq!([status("session", ""), status("session", token.as_str())], [403, 200]);
    assert_eq!(status("", token.as_str()), 500, "nobody knows who calls: nothing changes");
}

#[test]
fn each_reason_is_counted_by_its_own() {
    let bench = Bench::new();
    bench.post(|post| post, "");
    bench.post(|post| post.header("x-csrf-token", bench.token().as_str()), "");
    bench.post(|post| post.header("content-type", URLENCODED), &format!("csrf_token={}", bench.token().as_str()));
    bench.post(|post| post.header("content-type", URLENCODED), "csrf_token=x");
    let counters = bench.layer.counters();
    assert_eq!(counters.passed(), 2);
    let counts: Vec<_> = counters.all().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counts, [("csrf_token_missing", 1), ("csrf_token_malformed", 1)]);
}

/// A client that hangs up while its form is read, at any poll: nobody is called, and what the form took is paid back.
#[test]
fn a_dropped_request_reaches_nobody_and_pays_back() {
    let bench = Bench::new();
    let form = format!("csrf_token={}", bench.token().as_str());
    let chunks = form.len().div_ceil(10);
    // The body is pending once before each chunk and once before its end; then the server is called.
    for polls in 0..=chunks + 1 {
        let request = post().header("content-type", URLENCODED).body(Chunks::new(form.as_bytes(), 10)).unwrap();
        let mut guarded = bench.layer.layer(Recorder { record: Arc::clone(&bench.record), ready: true });
        let mut future = Box::pin(guarded.call(request));
        for _ in 0..polls {
            assert!(future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
        }
        assert_eq!(bench.layer.forms().used() > 0, polls > 1);
        drop(future);
        assert_eq!((bench.layer.forms().used(), bench.record.calls.load(Ordering::Relaxed)), (0, 0));
    }
    assert_eq!(bench.post(|post| post.header("content-type", URLENCODED), &form), OK);
}
