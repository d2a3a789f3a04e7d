//! The debug listener: heap profiles for holders of an admin's token, and for nobody else; one at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use staunch_engine::Limits;
use staunch_server::pprof::{Line, Profile};
use staunch_server::{Allocator, DebugListen, ServerConfig};

use crate::accounts::{PASSWORD, Person, closed_with, generous};
use crate::bed::{Bed, until};
use crate::client::Answer;

/// Profiles taken by this process, which is one a test.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Each holds 1,000 bytes more than the one before.
fn profile() -> io::Result<Vec<u8>> {
    let n = TAKEN.fetch_add(1, Ordering::SeqCst) as i64 + 1;
    let mut profile =
        Profile::new(524_288, std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(n as u64));
    let name = |_| vec![Line { function: "store::keep".to_owned(), file: String::new(), line: 0 }];
    profile.add(&[0x1001], n, n * 1_000, name);
    profile.encode()
}

const FAKE: Allocator = Allocator { name: "fake", profile: Some(profile), ..Allocator::SYSTEM };

fn config(allocator: Allocator) -> ServerConfig {
    let debug_listen = Some("127.0.0.1:0".parse().unwrap());
    ServerConfig { debug_listen, allocator, rates: generous(), ..ServerConfig::default() }
}

fn debug_address(bed: &Bed) -> SocketAddr {
    match bed.server().debug_listen() {
        Some(DebugListen::Loopback(at)) => *at,
        other => panic!("it listens at {other:?}"),
    }
}

/// A server with an admin and a token of scope admin.
async fn open(allocator: Allocator) -> (Bed, Person, Person) {
    let (bed, root) = closed_with(&[], Limits::default(), config(allocator)).await;
    let made = root.make_token(bed.address(), "admin").await;
    (bed, root, Person::token(made["token"].as_str().unwrap()))
}

fn held(answer: &Answer) -> (i64, i64) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("cache-control"), "no-store");
    Profile::decode(&answer.body).unwrap().sum()
}

const HEAP: &str = "/debug/pprof/heap";

#[tokio::test]
async fn only_an_admins_token_gets_a_profile_and_only_here() {
    let (bed, root, token) = open(FAKE).await;
    let (main, debug) = (bed.address(), debug_address(&bed));
    for path in [HEAP, "/debug/pprof/", "/debug/pprof", "/livez", "/nothing", "/api/v1/me"] {
        Person::nobody().get(debug, path).await.problem(401, "unauthenticated");
        // A session is what a browser sends by itself.
        root.get(debug, path).await.problem(403, "forbidden");
    }
    let weak = root.make_token(main, "run").await;
    Person::token(weak["token"].as_str().unwrap()).get(debug, HEAP).await.problem(403, "forbidden");
    Person::token("stn_wrong").get(debug, HEAP).await.problem(401, "invalid_token");
    // Scope admin, but of who is none.
    root.user(main, "olga", "admin").await;
    let olga = Person::login(main, "olga").await.make_token(main, "admin").await;
    let olga = Person::token(olga["token"].as_str().unwrap());
    assert_eq!(olga.get(debug, "/debug/pprof/").await.status, 200);
    root.call(
        main,
        "PATCH",
        "/api/v1/users/olga",
        Some(&serde_json::json!({"role": "operator", "current_password": PASSWORD})),
    )
    .await;
    olga.get(debug, HEAP).await.problem(403, "forbidden");
    assert_eq!(TAKEN.load(Ordering::SeqCst), 0, "nobody of them had one taken");

    assert_eq!(held(&token.get(debug, HEAP).await), (1, 1_000));
    let index = token.get(debug, "/debug/pprof/").await;
    assert!(String::from_utf8_lossy(&index.body).contains("/debug/pprof/heap?seconds=N"));
    token.get(debug, "/metrics").await.problem(404, "not_found");
    token.call(debug, "POST", HEAP, None).await.problem(405, "method_not_allowed");
    // Nothing of it is on the server's own address, not even for an admin.
    for path in [HEAP, "/debug/pprof/"] {
        token.get(main, path).await.problem(404, "not_found");
    }
    bed.close().await;
}

#[tokio::test]
async fn to_be_on_this_machine_is_not_enough_while_there_is_no_admin() {
    let bed = Bed::configured(&[], Limits::default(), config(FAKE)).await;
    assert_eq!(bed.get("/api/v1/me").await.json()["role"], "admin");
    Person::nobody().get(debug_address(&bed), HEAP).await.problem(401, "unauthenticated");
    bed.close().await;
}

#[tokio::test]
async fn a_difference_is_what_was_added_and_a_text_names_it() {
    let (bed, _, token) = open(FAKE).await;
    let debug = debug_address(&bed);
    let answer = token.get(debug, "/debug/pprof/heap?seconds=1").await;
    assert_eq!(held(&answer), (1, 1_000), "the second holds 1,000 bytes more than the first");
    let profile = Profile::decode(&answer.body).unwrap();
    assert_eq!(profile.duration, std::time::Duration::from_secs(1));
    let text = token.get(debug, "/debug/pprof/heap?debug=1").await;
    let text = String::from_utf8_lossy(&text.body).into_owned();
    assert!(text.starts_with("heap profile: 3 blocks, 3000 bytes live") && text.contains("store::keep"), "{text}");
    for bad in ["seconds=0", "seconds=61", "seconds=x", "debug=-1", "second=1"] {
        token.get(debug, &format!("{HEAP}?{bad}")).await.problem(400, "invalid_query");
    }
    bed.close().await;
}

#[tokio::test]
async fn one_is_taken_at_a_time_and_ten_a_minute() {
    let (bed, _, token) = open(FAKE).await;
    let debug = debug_address(&bed);
    let long = token.get(debug, "/debug/pprof/heap?seconds=1");
    let second = async {
        until("the first is being taken", || TAKEN.load(Ordering::SeqCst) == 1).await;
        token.get(debug, HEAP).await
    };
    let (long, second) = tokio::join!(long, second);
    assert_eq!(held(&long), (1, 1_000));
    second.problem(429, "profile_busy");
    assert_eq!(second.header("retry-after"), "5");
    for _ in 1..10 {
        held(&token.get(debug, HEAP).await);
    }
    let over = token.get(debug, HEAP).await;
    let problem = over.problem(429, "profile_busy");
    assert_eq!(problem["detail"], "at most 10 may be taken in 60 s");
    let after: u64 = over.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    bed.close().await;
}

#[tokio::test]
async fn who_hangs_up_frees_the_turn_and_a_stop_does_not_wait() {
    let (bed, _, token) = open(FAKE).await;
    let debug = debug_address(&bed);
    let gone =
        tokio::time::timeout(std::time::Duration::from_millis(200), token.get(debug, "/debug/pprof/heap?seconds=60"));
    assert!(gone.await.is_err());
    let mut tries = 0;
    loop {
        let answer = token.get(debug, HEAP).await;
        if answer.status == 200 {
            break;
        }
        answer.problem(429, "profile_busy");
        tries += 1;
        assert!(tries < 10_000, "the turn is never free again");
    }
    let taken = TAKEN.load(Ordering::SeqCst);
    let asked = async {
        let answer = token.get(debug, "/debug/pprof/heap?seconds=60").await;
        answer.problem(503, "stopping");
    };
    let stop = async {
        until("it is being taken", || TAKEN.load(Ordering::SeqCst) > taken).await;
        bed.close().await;
    };
    tokio::join!(asked, stop);
}

#[tokio::test]
async fn a_build_that_takes_none_says_so() {
    let (bed, _, token) = open(Allocator::SYSTEM).await;
    let problem = token.get(debug_address(&bed), HEAP).await.problem(501, "no_profile");
    assert_eq!(problem["detail"], "the allocator of this build (system) takes none");
    bed.close().await;
}
