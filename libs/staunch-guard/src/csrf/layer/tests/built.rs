//! What a guard is built of: where its secrets lie, its clock, what two of them share, and the body that it hands on.

use super::*;

/// A server's own session rows: the other use of [`Tokens`].
struct Rows {
    ring: Mutex<crate::csrf::Ring>,
}

impl Tokens for Rows {
    type Session = u64;

    fn verify(&self, session: &u64, token: &[u8], now: u32) -> crate::csrf::Verdict {
        assert_eq!(*session, 7);
        self.ring.lock().unwrap().verify(token, now, 100)
    }
}

#[test]
fn a_server_may_keep_its_rings_in_rows_of_its_own() {
    let rows = Arc::new(Rows { ring: Mutex::default() });
    let token = rows.ring.lock().unwrap().issue(0, &crate::csrf::SystemRandom).unwrap();
    let layer = CsrfLayer::new(Origins::default(), Arc::clone(&rows), || 99);
    let record = Arc::new(Record::default());
    let request = Request::post("/").header("x-csrf-token", token.as_str()).extension(Caller::Session(7u64));
    let guarded = layer.layer(Recorder { record: Arc::clone(&record), ready: false });
    let response = block_on(guarded.oneshot(request.body(Chunks::default()).unwrap())).unwrap();
    assert_eq!((response.status().as_u16(), record.calls.load(Ordering::Relaxed)), (200, 1));
}

/// G4: nothing is global: two guards built at once share neither tokens nor counts nor budgets; clones of one share all.
#[test]
fn ground_g4_two_layers_built_at_once_share_nothing() {
    let start = Barrier::new(2);
    let benches: Vec<Bench> = std::thread::scope(|scope| {
        let build = || {
            start.wait();
            Bench::new()
        };
        let threads = [scope.spawn(build), scope.spawn(build)];
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let token = benches[0].token();
    benches[1].token();
    let send = |bench: &Bench| bench.post(|post| post.header("x-csrf-token", token.as_str()), "");
    assert_eq!((send(&benches[0]), send(&benches[1])), (OK, INVALID));
    let invalid = |bench: &Bench| bench.layer.counters().against(Reason::TokenInvalid);
    assert_eq!((invalid(&benches[0]), invalid(&benches[1])), (0, 1));
    assert!(!Arc::ptr_eq(benches[0].layer.forms(), benches[1].layer.forms()));
    let clone = benches[0].layer.clone().protect_reads();
    assert!(Arc::ptr_eq(clone.counters(), benches[0].layer.counters()));
    let shared = Arc::new(Counters::default());
    let counting = benches[1].layer.clone().count_into(Arc::clone(&shared));
    assert!(Arc::ptr_eq(counting.counters(), &shared));
}

/// The clock is asked for each token, and for nothing else.
#[test]
fn the_clock_is_the_servers() {
    let seconds = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&seconds);
    let store = Arc::new(CsrfStore::new(StoreLimits::default()).unwrap());
    let token = store.issue(&SESSION, 0).unwrap();
    let clock = move || asked.fetch_add(12 * 60 * 60, Ordering::Relaxed) as u32;
    let layer = CsrfLayer::new(Origins::new(["https://h"], []).unwrap(), store, clock);
    let guarded = layer.layer(Recorder { record: Arc::default(), ready: false });
    for status in [200, 200, 403] {
        let request = post().header("x-csrf-token", token.as_str()).body(Chunks::default()).unwrap();
        assert_eq!(block_on(guarded.clone().oneshot(request)).unwrap().status(), status);
    }
    assert_eq!(seconds.load(Ordering::Relaxed), 3 * 12 * 60 * 60);
}

#[test]
fn a_kept_body_has_its_type_and_all_its_bytes_whether_or_not_it_was_read() {
    type Boxed = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;
    let store = Arc::new(CsrfStore::new(StoreLimits::default()).unwrap());
    let session = Bytes::from_static(b"session");
    let token = store.current(&session, 0).unwrap();
    let form = format!("a=1&csrf_token={}&b=2", token.as_str());
    let layer = CsrfLayer::new(Origins::new(["https://flows.example"], []).unwrap(), store, || 0)
        .keep_body(|replay: Replay<Boxed>| replay.boxed_unsync());
    let echo = tower::service_fn(|request: Request<Boxed>| async {
        let bytes = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(Full::new(bytes)))
    });
    let guarded = layer.layer(echo);
    for (sent, in_header, status) in [(form.as_str(), false, 200), ("a=1", true, 200), ("a=1", false, 403)] {
        let mut request = Request::post("/")
            .header("origin", "https://flows.example")
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(Caller::Session(session.clone()));
        if in_header {
            request = request.header("x-csrf-token", token.as_str());
        }
        let request = request.body(Full::from(sent.to_owned()).boxed_unsync()).unwrap();
        let response = block_on(guarded.clone().oneshot(request)).unwrap();
        assert_eq!(response.status(), status, "{sent}");
        let got = block_on(response.into_body().collect()).unwrap().to_bytes();
        assert!(status != 200 || got == sent, "{got:?}");
    }
}
