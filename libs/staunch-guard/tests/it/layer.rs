//! The layer, with a service behind it that writes down what reaches it.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use staunch_guard::{Client, ForwardedBy, KeyKind, Limiter, Policy, PolicySet, Principal, Proxies, Quota};
use staunch_guard::{Rate, RateLayer, Refusal};
use tower_layer::Layer;
use tower_service::Service;

use crate::clock::HandClock;

type Call = (Method, Option<Client>);

/// Answers 200 with no body, at the second poll.
#[derive(Clone, Debug, Default)]
struct Recording {
    calls: Arc<Mutex<Vec<Call>>>,
    polls: Arc<AtomicUsize>,
}

struct Answer {
    polls: Arc<AtomicUsize>,
    pending: bool,
}

impl Service<Request<()>> for Recording {
    type Response = Response<Bytes>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Answer {
        let client = request.extensions().get().copied();
        self.calls.lock().unwrap().push((request.method().clone(), client));
        Answer { polls: Arc::clone(&self.polls), pending: true }
    }
}

impl Future for Answer {
    type Output = Result<Response<Bytes>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        if std::mem::take(&mut self.pending) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(Response::new(Bytes::new())))
    }
}

fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..10 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
    panic!("it never answers");
}

fn send(service: &mut Rate<Recording>, request: Request<()>) -> Response<Bytes> {
    run(std::future::poll_fn(|cx| service.poll_ready(cx))).unwrap();
    run(service.call(request)).unwrap()
}

/// A request whose extensions say where it comes from.
fn from(method: Method, address: &str) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    request.extensions_mut().insert(Client::new(address.parse().unwrap()));
    request
}

fn limiter(policies: Vec<Policy>) -> Arc<Limiter> {
    Arc::new(Limiter::new(PolicySet::new(policies).unwrap()).unwrap())
}

fn policy(name: &str, count: u32, window: Duration) -> Policy {
    // So many sets that the few keys of a test practically never fill one.
    Policy { sets: 1_024, ..Policy::new(name, Quota::new(count, window).unwrap()) }
}

struct Stack {
    service: Rate<Recording>,
    inner: Recording,
    clock: HandClock,
}

fn stack(policies: Vec<Policy>) -> Stack {
    let (inner, clock) = (Recording::default(), HandClock::default());
    let service = RateLayer::new(limiter(policies)).clock(clock.clone()).layer(inner.clone());
    Stack { service, inner, clock }
}

impl Stack {
    fn status(&mut self, request: Request<()>) -> u16 {
        send(&mut self.service, request).status().as_u16()
    }

    fn calls(&self) -> usize {
        self.inner.calls.lock().unwrap().len()
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn tower_governor_two_then_none_then_one() {
    let slow = Policy { sets: 4, ..Policy::new("slow", Quota::with_burst(1, Duration::from_millis(90), 2).unwrap()) };
    let mut stack = stack(vec![slow]);
    let get = |stack: &mut Stack| stack.status(from(Method::GET, "192.0.2.1"));
    let told = [get(&mut stack), get(&mut stack), get(&mut stack)];
    stack.clock.advance(Duration::from_millis(100));
    assert_eq!((told, get(&mut stack), get(&mut stack)), ([200, 200, 429], 200, 429));
    assert_eq!(stack.status(from(Method::GET, "192.0.2.2")), 200, "somebody else");
}

#[test]
fn a_denied_request_never_reaches_the_service() {
    let mut stack = stack(vec![policy("one", 1, MINUTE)]);
    assert_eq!(stack.status(from(Method::GET, "192.0.2.1")), 200);
    let (calls, polls) = (stack.calls(), stack.inner.polls.load(Ordering::Relaxed));
    assert_eq!((calls, polls), (1, 2));
    for _ in 0..10 {
        assert_eq!(stack.status(from(Method::GET, "192.0.2.1")), 429);
    }
    assert_eq!((stack.calls(), stack.inner.polls.load(Ordering::Relaxed)), (calls, polls));
}

#[test]
fn an_answer_says_what_is_left() {
    let mut stack = stack(vec![policy("login", 5, MINUTE)]);
    let response = send(&mut stack.service, from(Method::POST, "192.0.2.1"));
    assert_eq!(header(&response, "ratelimit-policy"), "\"login\";q=5;w=60");
    assert_eq!(header(&response, "ratelimit"), "\"login\";r=4;t=12");
    assert_eq!(header(&response, "retry-after"), "");
    stack.clock.advance(Duration::from_millis(11_500));
    let response = send(&mut stack.service, from(Method::POST, "192.0.2.1"));
    assert_eq!(header(&response, "ratelimit"), "\"login\";r=3;t=1", "rounded up");
}

#[test]
fn a_refusal_says_why_and_for_how_long() {
    let mut stack = stack(vec![policy("login", 5, MINUTE)]);
    for _ in 0..5 {
        assert_eq!(stack.status(from(Method::POST, "192.0.2.1")), 200);
    }
    let response = send(&mut stack.service, from(Method::POST, "192.0.2.1"));
    assert_eq!(response.status(), 429);
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(header(&response, "ratelimit-policy"), "\"login\";q=5;w=60");
    assert_eq!((header(&response, "retry-after"), header(&response, "ratelimit")), ("12", "\"login\";r=0;t=12"));
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!((&body["title"], &body["status"]), (&"Quota Exceeded".into(), &429.into()));
    assert_eq!(body["violated-policies"], serde_json::json!(["login"]));
    assert_eq!(response.extensions().get::<Refusal>().unwrap().code, "quota_exceeded");
    // One nanosecond to wait is one second to say.
    stack.clock.set(12_000_000_000 - 1);
    let response = send(&mut stack.service, from(Method::POST, "192.0.2.1"));
    assert_eq!((header(&response, "retry-after"), header(&response, "ratelimit")), ("1", "\"login\";r=0;t=1"));
}

#[test]
fn express_rate_limit_policies_are_told_in_order() {
    let hours =
        |count, hours: u64| policy(&format!("{count}-in-{hours}hrs"), count, Duration::from_secs(3_600 * hours));
    let mut stack = stack(vec![hours(5, 2), hours(10, 3), hours(20, 4), hours(40, 5), hours(80, 6)]);
    let response = send(&mut stack.service, from(Method::GET, "192.0.2.1"));
    assert_eq!(
        header(&response, "ratelimit-policy"),
        "\"5-in-2hrs\";q=5;w=7200, \"10-in-3hrs\";q=10;w=10800, \"20-in-4hrs\";q=20;w=14400, \"40-in-5hrs\";q=40;w=18000, \"80-in-6hrs\";q=80;w=21600"
    );
    assert!(header(&response, "ratelimit").starts_with("\"5-in-2hrs\";r=4;t=1440, \"10-in-3hrs\";r=9;t=1080, "));
}

#[test]
fn methods_that_no_policy_names_pass() {
    let get = Policy { methods: vec![Method::GET], ..policy("one", 1, MINUTE) };
    let mut stack = stack(vec![get]);
    let told: Vec<u16> = [Method::GET, Method::POST, Method::POST, Method::GET, Method::POST]
        .into_iter()
        .map(|method| stack.status(from(method, "192.0.2.1")))
        .collect();
    assert_eq!(told, [200, 200, 200, 429, 200]);
    let response = send(&mut stack.service, from(Method::POST, "192.0.2.1"));
    assert_eq!(header(&response, "ratelimit-policy"), "", "nothing to say");
}

#[test]
fn preflight_passes_and_other_options_do_not() {
    let mut stack = stack(vec![policy("one", 1, MINUTE)]);
    let options = |names: &[&'static str]| {
        let mut request = from(Method::OPTIONS, "192.0.2.1");
        for name in names {
            request.headers_mut().insert(*name, "x".parse().unwrap());
        }
        request
    };
    for _ in 0..3 {
        assert_eq!(stack.status(options(&["origin", "access-control-request-method"])), 200);
    }
    assert_eq!(stack.status(options(&["origin"])), 200);
    assert_eq!(stack.status(options(&["origin"])), 429);
    assert_eq!(stack.status(options(&["access-control-request-method"])), 429);
    let mut get = from(Method::GET, "192.0.2.1");
    get.headers_mut().insert("access-control-request-method", "GET".parse().unwrap());
    assert_eq!(stack.status(get), 429);
}

#[test]
fn ground_g4_cloned_services_share_one_table() {
    let limiter = limiter(vec![policy("ten", 10, MINUTE)]);
    let layer = RateLayer::new(Arc::clone(&limiter)).clock(|| 0);
    let told: usize = std::thread::scope(|scope| {
        let ask = |mut service: Rate<Recording>| {
            (0..10).filter(|_| send(&mut service, from(Method::GET, "192.0.2.1")).status() == 200).count()
        };
        let first = layer.layer(Recording::default());
        let services = [first.clone(), first, layer.clone().layer(Recording::default())];
        let threads: Vec<_> = services.into_iter().map(|service| scope.spawn(move || ask(service))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(told, 10);
    let (_, stats) = limiter.stats(0).next().unwrap();
    assert_eq!((stats.live, stats.admitted, stats.denied), (1, 10, 20));
}

#[test]
fn ground_g3_what_a_thousand_clients_left_is_swept() {
    let (clock, limiter) = (HandClock::default(), limiter(vec![policy("five", 5, MINUTE)]));
    let layer = RateLayer::new(Arc::clone(&limiter)).clock(clock.clone());
    let mut service = layer.layer(Recording::default());
    for client in 0..1_000_u32 {
        let address = std::net::Ipv4Addr::from_bits(client).to_string();
        assert_eq!(send(&mut service, from(Method::GET, &address)).status(), 200);
    }
    let live = |limiter: &Limiter| limiter.stats(clock.nanos()).next().unwrap().1.live;
    let held = live(&limiter);
    // The random hash may fill one of 1,024 sets, whose eighth key takes the place of the first.
    assert!((990..=1_000).contains(&held), "{held}");
    assert_eq!(layer.sweep(usize::MAX), 0);
    clock.advance(MINUTE);
    assert_eq!((layer.sweep(usize::MAX), live(&limiter)), (held, 0));
}

#[test]
fn being_ready_charges_nobody() {
    let mut stack = stack(vec![policy("one", 1, MINUTE)]);
    for _ in 0..10 {
        run(std::future::poll_fn(|cx| stack.service.poll_ready(cx))).unwrap();
    }
    assert_eq!(stack.status(from(Method::GET, "192.0.2.1")), 200);
}

#[test]
fn the_peer_is_found_where_the_server_keeps_it() {
    // As axum's `ConnectInfo` does.
    #[derive(Clone)]
    struct Peer(SocketAddr);
    let inner = Recording::default();
    let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()], ForwardedBy::XForwardedFor);
    let layer = RateLayer::new(limiter(vec![policy("one", 1, MINUTE)]))
        .clock(|| 0)
        .peer(|extensions| extensions.get::<Peer>().map(|peer| peer.0))
        .proxies(proxies);
    let mut service = layer.layer(inner.clone());
    let mut get = |peer: &str, forwarded: &'static str| {
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 4_711)));
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        send(&mut service, request).status().as_u16()
    };
    assert_eq!((get("10.0.0.1", "6.6.6.6, 192.0.2.1"), get("10.0.0.2", "7.7.7.7, 192.0.2.1")), (200, 429));
    assert_eq!(get("10.0.0.1", "192.0.2.2"), 200);
    assert_eq!((get("192.0.2.3", "1.1.1.1"), get("192.0.2.3", "2.2.2.2")), (200, 429), "nobody forges an address");
    let seen: Vec<_> = inner.calls.lock().unwrap().iter().map(|call| call.1.unwrap().address()).collect();
    assert_eq!(seen, ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|text| text.parse::<IpAddr>().unwrap()));
}

#[test]
fn unknown_clients_are_one_client() {
    let mut stack = stack(vec![policy("two", 2, MINUTE)]);
    let told: Vec<u16> = (0..3).map(|_| stack.status(Request::new(()))).collect();
    assert_eq!(told, [200, 200, 429]);
    assert_eq!(stack.status(from(Method::GET, "192.0.2.1")), 200);
}

#[test]
fn a_site_holds_sixteen_of_its_networks() {
    let mut stack = stack(policy("one", 1, MINUTE).with_site().unwrap().to_vec());
    let mut get =
        |net: u32| send(&mut stack.service, from(Method::GET, &format!("2001:db8:1:{net:x}::1"))).status().as_u16();
    let told: Vec<u16> = (0..20).map(&mut get).collect();
    assert_eq!(told, [[200; 16].as_slice(), &[429; 4]].concat());
    let mut v4 = |last: u8| stack.status(from(Method::GET, &format!("192.0.2.{last}")));
    assert!((0..20).all(|last| v4(last) == 200), "IPv4 has no sites");
    let service = stack.service;
    assert!(format!("{service:?}").contains("one-site"));
}

#[test]
fn a_later_denial_gives_back_what_earlier_policies_took() {
    let principal = Policy { key: KeyKind::Principal, ..policy("principal", 1, MINUTE) };
    let limiter = limiter(vec![policy("client", 5, MINUTE), principal]);
    let layer = RateLayer::new(Arc::clone(&limiter)).clock(|| 0);
    let mut service = layer.layer(Recording::default());
    let mut get = |principal: &str| {
        let mut request = from(Method::GET, "192.0.2.1");
        request.extensions_mut().insert(Principal::new(principal));
        send(&mut service, request)
    };
    assert_eq!(get("alice").status(), 200);
    for _ in 0..10 {
        let response = get("alice");
        assert_eq!((response.status().as_u16(), header(&response, "ratelimit")), (429, "\"principal\";r=0;t=60"));
    }
    let told: Vec<u16> = ["bob", "carol", "dave", "erin", "frank"].map(|name| get(name).status().as_u16()).to_vec();
    assert_eq!(told, [200, 200, 200, 200, 429], "alice's ten denials cost the client nothing");
}

#[test]
fn a_dry_run_counts_and_denies_nothing() {
    let dry = Policy { dry_run: true, ..policy("dry", 1, MINUTE) };
    let limiter = limiter(vec![dry, policy("real", 3, MINUTE)]);
    let mut service = RateLayer::new(Arc::clone(&limiter)).clock(|| 0).layer(Recording::default());
    let told: Vec<Response<Bytes>> = (0..4).map(|_| send(&mut service, from(Method::GET, "192.0.2.1"))).collect();
    let statuses: Vec<u16> = told.iter().map(|response| response.status().as_u16()).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(header(&told[1], "ratelimit-policy"), "\"real\";q=3;w=60");
    assert_eq!(header(&told[1], "ratelimit"), "\"real\";r=1;t=20");
    let denied: Vec<u64> = limiter.stats(0).map(|(_, stats)| stats.denied).collect();
    assert_eq!(denied, [3, 1]);
}

#[test]
fn layers_in_layers_both_speak() {
    let inner = RateLayer::new(limiter(vec![policy("inner", 1, MINUTE)])).clock(|| 0).layer(Recording::default());
    let mut outer = RateLayer::new(limiter(vec![policy("outer", 9, MINUTE)])).clock(|| 0).layer(inner);
    let response: Response<Bytes> = run(outer.call(from(Method::GET, "192.0.2.1"))).unwrap();
    let lines: Vec<_> = response.headers().get_all("ratelimit").iter().collect();
    assert_eq!(lines, ["\"inner\";r=0;t=60", "\"outer\";r=8;t=7"]);
}

#[test]
fn the_peer_of_a_connection_counts_and_is_told_unless_it_is_hidden() {
    let layer = RateLayer::new(limiter(vec![policy("one", 1, MINUTE)])).clock(|| 0);
    let peer = |last: u8| SocketAddr::from(([192, 0, 2, last], 4_711));
    let inner = Recording::default();
    let statuses = |layer: RateLayer| {
        let mut service = layer.layer(inner.clone());
        [(); 2].map(|()| send(&mut service, Request::new(())).status().as_u16())
    };
    assert_eq!(statuses(layer.with_peer(peer(1))), [200, 429]);
    assert_eq!(statuses(layer.with_peer(peer(2)).hide_client()), [200, 429], "connections are told apart");
    let told: Vec<_> = inner.calls.lock().unwrap().iter().map(|call| call.1.map(|client| client.address())).collect();
    assert_eq!(told, [Some(peer(1).ip()), None]);
}

#[test]
fn a_quiet_layer_tells_the_quota_in_refusals_only() {
    let policies = PolicySet::new(vec![Policy::new("api", Quota::new(1, Duration::from_secs(60)).unwrap())]).unwrap();
    let layer =
        RateLayer::new(Arc::new(Limiter::new(policies).unwrap())).with_peer("192.0.2.1:1".parse().unwrap()).quiet();
    let mut service = layer.layer(Recording::default());
    let (passed, refused) = (send(&mut service, Request::new(())), send(&mut service, Request::new(())));
    assert_eq!((passed.status().as_u16(), passed.headers().len()), (200, 0));
    assert_eq!(refused.status().as_u16(), 429);
    for name in ["ratelimit", "ratelimit-policy", "retry-after"] {
        assert!(refused.headers().contains_key(name), "{name}");
    }
}
