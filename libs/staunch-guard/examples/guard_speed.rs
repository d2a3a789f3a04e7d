//! How much of axum's throughput is left behind the guards, with `tower_governor` beside them; the last line is one JSON object.
//!
//! `cargo run --release -p staunch-guard --example guard_speed -- [--quick] [--text]`, or `cargo xtask bench guard`.
//!
//! Real HTTP/1.1 over loopback: a server with one thread of its own for each case, and a client with one thread and a few
//! kept-alive connections, each with one request under way. Each case takes turns of 30 ms with the bare server, and medians are
//! told, of the ratios those of such pairs.
//!
//! Ratios are of requests a second *of CPU time of the server's thread* (from `/proc`): what it can do when it has a processor
//! to itself. The client's work is not in it, so what a guard costs is seen whole, and neither is what else runs on the
//! machine. Requests a second by the clock on the wall are told beside, with ratios of their own.
//!
//! All cases are sent the same bytes: a session's cookie, its CSRF token, `Origin`, `Sec-Fetch-Site`, and with POST 64 bytes of
//! JSON. The bare server pays for reading them too; it keeps no peer's address, which only those that limit need. The handler
//! answers 59 bytes of JSON, and reads what is posted; with `--text` it answers `ok` and does nothing else, which makes every
//! share that is lost larger. No quota denies anything, and every answer is checked to be the handler's.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use axum::routing::get;
use axum::serve::IncomingStream;
use axum::{Json, Router};
use http::header::{self, COOKIE, HeaderName};
use http::{Extensions, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use staunch_guard::csrf::{Caller, CsrfLayer, CsrfStore, Origins, Rebody, StoreLimits};
use staunch_guard::{Limiter, Policy, PolicySet, Quota, Rate, RateLayer};
use tokio::sync::watch;
use tower::layer::util::Identity;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;

/// So many a second and at once that no request is denied.
const PLENTY: u32 = 100_000_000;
/// The place of the bare server among the cases.
const BARE: usize = 0;
/// What the whole stack looks sessions up in.
const SESSIONS: usize = 10_000;
/// The session that calls: 32 bytes in base64url.
const SESSION: &str = "c2Vzc2lvbi1zZXNzaW9uLXNlc3Npb24tc2Vzc2lvbi0";
const JSON: &str = r#"{"workflow":"nightly-backup","inputs":{"target":"disk","n":123}}"#;
/// How answers end, in JSON and in text.
const ENDS: [&[u8]; 2] = [br#"orkflow":"nightly-backup","state":"started"}"#, b"\r\n\r\nok"];

type Store = Arc<CsrfStore>;

/// A server to measure.
struct Case {
    name: &'static str,
    address: SocketAddr,
    /// The times of the server's thread, below `/proc`.
    times: PathBuf,
    /// By GET and by POST, a round's turn of the bare server and of this one.
    turns: [Vec<[Turn; 2]>; 2],
}

/// What came of a turn.
struct Turn {
    /// Requests a second.
    wall: f64,
    /// Requests a second of CPU time of the server.
    cpu: f64,
}

fn main() {
    let quick = std::env::args().any(|word| word == "--quick");
    let connections = value_of("--connections").unwrap_or(8);
    let only: Option<String> = value_of("--only");
    let text = std::env::args().any(|word| word == "--text");
    let (rounds, turn) = if quick { (9, Duration::from_millis(30)) } else { (61, Duration::from_millis(30)) };
    let store = Arc::new(CsrfStore::new(StoreLimits::default()).unwrap());
    let token = store.current(SESSION.as_bytes(), 0).unwrap();
    let requests = [request("GET", token.as_str(), ""), request("POST", token.as_str(), JSON)];

    let (stop, stopped) = watch::channel(());
    let mut line = json!({ "bench": "guard", "connections": connections, "rounds": rounds, "handler": if text { "text" } else { "json" } });
    std::thread::scope(|scope| {
        let mut cases = Vec::new();
        for (name, app) in apps(&store, text) {
            if only.as_ref().is_some_and(|only| only != name && name != "bare") {
                continue;
            }
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            let stopped = stopped.clone();
            let (tell, told) = std::sync::mpsc::sync_channel(1);
            scope.spawn(move || {
                tell.send(std::fs::read_link("/proc/thread-self").unwrap()).unwrap();
                app(listener, stopped);
            });
            let times = Path::new("/proc").join(told.recv().unwrap()).join("schedstat");
            cases.push(Case { name, address, times, turns: [const { Vec::new() }; 2] });
        }
        measure(&mut cases, &requests, connections, rounds, turn);
        drop(stop);
        tell(&mut line, &cases);
    });
    println!("{line}");
}

/// What follows a word of the command line.
fn value_of<T: std::str::FromStr>(word: &str) -> Option<T> {
    std::env::args().skip_while(|argument| argument != word).nth(1)?.parse().ok()
}

/// A server that waits for its socket and the word to stop.
type App = Box<dyn FnOnce(std::net::TcpListener, watch::Receiver<()>) + Send>;

/// The cases, by name. Layers are put around the router: `Router::layer` boxes each of its answers once more, which is axum's
/// doing and not theirs, and a limiter is told its peer by the connection. `rate_csrf_by_router_layer` does it in the plain way,
/// to tell what that costs.
fn apps(store: &Store, text: bool) -> Vec<(&'static str, App)> {
    let with_session = csrf(store).caller(|_, _| Some(Caller::Session(Bytes::from_static(SESSION.as_bytes()))));
    let with_bearer = csrf(store).caller(|_, _| Some(Caller::Bearer));
    let by_extension = MapRequestLayer::new(by_session);
    let simple = ServiceBuilder::new().layer(rate().peer(peer)).layer(by_extension).layer(csrf_plain(store));
    let (two, nine) = (MapResponseLayer::new(with_two_headers), MapResponseLayer::new(with_headers));
    let sessions = Arc::new(sessions());
    let whole = csrf(store).protect_reads().caller(move |headers, _| by_table(&sessions, headers));
    let governor = || {
        let mut config = GovernorConfigBuilder::default();
        config.per_nanosecond(10).burst_size(PLENTY);
        config
    };
    let other = GovernorLayer::new(governor().finish().unwrap());
    let other_with_headers = GovernorLayer::new(governor().use_headers().finish().unwrap());
    vec![
        ("bare", without_peer(bare(text))),
        ("bare_with_peer_address", with_peer(bare(text))),
        ("two_headers", without_peer(two.layer(bare(text)))),
        ("rate", by_connection(rate(), Identity::new(), bare(text))),
        ("rate_quiet", by_connection(rate().quiet(), Identity::new(), bare(text))),
        ("rate_by_connect_info", with_peer(rate().peer(peer).layer(bare(text)))),
        ("csrf_bearer", without_peer(with_bearer.layer(bare(text)))),
        ("csrf_session", without_peer(with_session.layer(bare(text)))),
        ("rate_csrf", by_connection(rate(), Identity::new(), with_session.layer(bare(text)))),
        ("rate_csrf_quiet", by_connection(rate().quiet(), Identity::new(), with_session.layer(bare(text)))),
        ("rate_csrf_bearer", by_connection(rate(), Identity::new(), with_bearer.layer(bare(text)))),
        ("rate_csrf_by_router_layer", with_peer(bare(text).layer(simple))),
        ("security_headers", without_peer(nine.layer(bare(text)))),
        ("whole", by_connection(rate(), nine.clone(), whole.layer(bare(text)))),
        ("whole_quiet", by_connection(rate().quiet(), nine, whole.layer(bare(text)))),
        ("tower_governor", with_peer(other.layer(bare(text)))),
        ("tower_governor_headers", with_peer(other_with_headers.layer(bare(text)))),
    ]
}

/// The server without guards: answers JSON, and with POST reads JSON; or answers `ok` and does nothing else.
fn bare(text: bool) -> Router {
    let methods = if text {
        get(async || "ok").post(async |_: Bytes| "ok")
    } else {
        get(async || Json(STARTED)).post(async |Json(run): Json<Run>| {
            std::hint::black_box(run);
            Json(STARTED)
        })
    };
    Router::new().route("/", methods).with_state::<()>(())
}

/// What is posted.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is read as a server reads, and then not used")]
struct Run {
    workflow: String,
    inputs: Inputs,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "as above")]
struct Inputs {
    target: String,
    n: u32,
}

#[derive(Serialize)]
struct Started {
    id: u64,
    workflow: &'static str,
    state: &'static str,
}

const STARTED: Started = Started { id: 123_456, workflow: "nightly-backup", state: "started" };

fn without_peer<S>(app: S) -> App
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    Box::new(|listener, stopped| serve(listener, axum::ServiceExt::into_make_service(app), stopped))
}

/// A limiter that is told the peer once for each connection, and what is around it.
fn by_connection<L, S>(rate: RateLayer, outer: L, app: S) -> App
where
    L: Layer<Rate<S>> + Send + 'static,
    L::Service: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
    S: Clone + Send + 'static,
{
    let rate = rate.hide_client();
    let maker = service_fn(move |connection: IncomingStream<'_, tokio::net::TcpListener>| {
        let guarded = rate.with_peer(*connection.remote_addr()).layer(app.clone());
        ready(Ok::<_, Infallible>(outer.layer(guarded)))
    });
    Box::new(|listener, stopped| serve(listener, maker, stopped))
}

/// Requests carry the address they come from, which limiters need.
fn with_peer<S>(app: S) -> App
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    Box::new(|listener, stopped| {
        serve(listener, axum::ServiceExt::into_make_service_with_connect_info::<SocketAddr>(app), stopped);
    })
}

fn rate() -> RateLayer {
    let quota = Quota::new(PLENTY, Duration::from_secs(1)).unwrap();
    let limiter = Limiter::new(PolicySet::new(vec![Policy::new("api", quota)]).unwrap()).unwrap();
    RateLayer::new(Arc::new(limiter))
}

fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)
}

fn csrf(
    store: &Store,
) -> CsrfLayer<CsrfStore, impl Fn() -> u32 + Clone + use<>, impl Rebody<Body, Body = Body> + use<>> {
    csrf_plain(store).keep_body(Body::new)
}

fn csrf_plain(store: &Store) -> CsrfLayer<CsrfStore, impl Fn() -> u32 + Clone + use<>> {
    let begun = Instant::now();
    let clock = move || begun.elapsed().as_secs() as u32;
    CsrfLayer::new(Origins::new(["https://flows.example"], []).unwrap(), Arc::clone(store), clock)
}

/// Everybody is the one session, by the extensions of the request.
fn by_session(mut request: Request) -> Request {
    request.extensions_mut().insert(Caller::Session(Bytes::from_static(SESSION.as_bytes())));
    request
}

/// Authentication of the whole stack: the cookie's SHA-256 is looked up in a table of fixed size.
fn by_table(sessions: &HashMap<[u8; 32], Bytes>, headers: &HeaderMap) -> Option<Caller<Bytes>> {
    let session = cookie(headers).and_then(|value| sessions.get(&<[u8; 32]>::from(Sha256::digest(value))));
    Some(session.map_or(Caller::Anonymous, |session| Caller::Session(session.clone())))
}

fn sessions() -> HashMap<[u8; 32], Bytes> {
    let others = (1..SESSIONS).map(|number| format!("another-session-{number}"));
    let ids = others.chain([SESSION.to_owned()]);
    ids.map(|id| (Sha256::digest(id.as_bytes()).into(), Bytes::from(id))).collect()
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    cookies.split("; ").find_map(|pair| pair.strip_prefix("session="))
}

/// Made once: `HeaderValue::from_static` looks at each character.
static SECURITY: [(HeaderName, HeaderValue); 9] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("origin-agent-cluster"), HeaderValue::from_static("?1")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The least that two lines about a quota can cost: nothing is counted, nothing written.
fn with_two_headers(mut response: Response) -> Response {
    const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
    const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
    let headers = response.headers_mut();
    headers.append(POLICY, HeaderValue::from_static("\"api\";q=100000000;w=1"));
    headers.append(LIMIT, HeaderValue::from_static("\"api\";r=99999999;t=1"));
    response
}

/// The headers as one map.
static PREPARED: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(|| {
    let mut all = HeaderMap::with_capacity(24);
    all.extend(SECURITY.iter().cloned());
    all
});

/// A value that a route has set stays.
fn with_headers(mut response: Response) -> Response {
    let mut all = PREPARED.clone();
    let headers = std::mem::take(response.headers_mut());
    for (name, value) in headers {
        if let Some(name) = name {
            all.insert(name, value);
        }
    }
    *response.headers_mut() = all;
    response
}

/// Serves until it is told to stop, on the thread it is called on.
fn serve<M, S>(listener: std::net::TcpListener, maker: M, mut stopped: watch::Receiver<()>)
where
    M: for<'a> Service<IncomingStream<'a, tokio::net::TcpListener>, Error = Infallible, Response = S, Future: Send>
        + Send
        + 'static,
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let stop = async move {
            let _told = stopped.changed().await;
        };
        axum::serve(listener, maker).with_graceful_shutdown(stop).await.unwrap();
    });
}

fn request(method: &str, token: &str, body: &str) -> Vec<u8> {
    let content = match body.len() {
        0 => String::new(),
        length => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
    };
    let head = format!(
        "{method} / HTTP/1.1\r\nhost: flows.example\r\ncookie: session={SESSION}\r\nx-csrf-token: {token}\r\n\
         origin: https://flows.example\r\nsec-fetch-site: same-origin\r\n{content}\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Rounds in which each case has a turn of GET and one of POST, and the bare server one beside each: the two are compared, so
/// that a noisy second is noisy for both. Who begins changes. The first round only warms up.
fn measure(cases: &mut [Case], requests: &[Vec<u8>; 2], connections: usize, rounds: usize, turn: Duration) {
    let connect = |case: &Case| -> Vec<TcpStream> {
        (0..connections).map(|_| TcpStream::connect(case.address).unwrap()).collect()
    };
    let mut streams: Vec<Vec<TcpStream>> = cases.iter().map(connect).collect();
    for stream in streams.iter().flatten() {
        stream.set_nodelay(true).unwrap();
    }
    for round in 0..=rounds {
        for at in 0..cases.len() {
            for (method, request) in requests.iter().enumerate() {
                let mut go = |case: usize| drive(&cases[case], &mut streams[case], request, turn);
                let pair = if round % 2 == 0 {
                    let bare = go(BARE);
                    [bare, go(at)]
                } else {
                    let ours = go(at);
                    [go(BARE), ours]
                };
                if round > 0 {
                    cases[at].turns[method].push(pair);
                }
            }
        }
    }
}

/// One turn: each connection has always one request under way.
fn drive(case: &Case, streams: &mut [TcpStream], request: &[u8], turn: Duration) -> Turn {
    let (begun, worked) = (Instant::now(), cpu_seconds(&case.times));
    for stream in &mut *streams {
        stream.write_all(request).unwrap();
    }
    let mut done = streams.len();
    while begun.elapsed() < turn {
        for stream in &mut *streams {
            answer(stream);
            stream.write_all(request).unwrap();
        }
        done += streams.len();
    }
    for stream in streams {
        answer(stream);
    }
    let done = done as f64;
    Turn { wall: done / begun.elapsed().as_secs_f64(), cpu: done / (cpu_seconds(&case.times) - worked) }
}

/// What a thread has worked: the first figure, in nanoseconds. It is up to date when the thread waits, as it does now.
fn cpu_seconds(times: &Path) -> f64 {
    let text = std::fs::read_to_string(times).unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Reads one answer, which must be the handler's. Its end is known by what the handler says: no parser, no allocation.
fn answer(stream: &mut TcpStream) {
    let mut bytes = [0; 2048];
    let mut length = 0;
    while !ENDS.iter().any(|end| bytes[..length].ends_with(end)) {
        let read = stream.read(&mut bytes[length..]).unwrap();
        assert!(read > 0, "the server hung up after {:?}", String::from_utf8_lossy(&bytes[..length]));
        length += read;
        assert!(bytes.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&bytes[..length]));
    }
}

/// Medians, and the ratios to the bare server of the same rounds.
fn tell(line: &mut Value, cases: &[Case]) {
    line["ratios"] = "requests a second of CPU time of the server's thread, against the bare server".into();
    line["whole_standin"] = "rate, a session look-up in a table of 10,000 by SHA-256, csrf and nine security headers: \
        the work of the server's stack, not its code"
        .into();
    for (method, word) in ["get", "post"].into_iter().enumerate() {
        for case in cases {
            let name = format!("{}_{word}", case.name);
            let turns = &case.turns[method];
            let (wall, cpu) =
                (median(turns.iter().map(|[_, ours]| ours.wall)), median(turns.iter().map(|[_, ours]| ours.cpu)));
            line[format!("{name}_per_second")] = rounded(wall).into();
            line[format!("{name}_cpu_us")] = rounded(1e6 / cpu).into();
            let by_cpu = median(turns.iter().map(|[bare, ours]| ours.cpu / bare.cpu));
            let by_wall = median(turns.iter().map(|[bare, ours]| ours.wall / bare.wall));
            eprintln!("{name}: {:.2} us, {by_cpu:.3} of bare by CPU, {by_wall:.3} by the wall", 1e6 / cpu);
            // The bare server against itself shows the error of the method.
            let is_bare = case.name == cases[BARE].name;
            let key = if is_bare { format!("bare_itself_{word}") } else { format!("ratio_guard_{name}") };
            line[key] = rounded(by_cpu).into();
            line[format!("wall_ratio_{name}")] = rounded(by_wall).into();
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// To three figures: a bench has no more.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}
