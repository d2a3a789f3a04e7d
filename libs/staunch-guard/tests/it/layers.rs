//! Layers under the gate of zero growth: passed, refused, dropped midway; and forms whose bytes are paid for.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use staunch_bounded::Budget;
use staunch_guard::csrf::{Caller, CsrfLayer, Origins, PreSession, Replay, StoreLimits, SystemRandom, Verdict};
use staunch_guard::{Client, CsrfStore, Limiter, Policy, PolicySet, RateLayer};
use staunch_leak::fault::{Cut, CutShort, Manners, all_cancellations, all_faults, block_on};
use staunch_leak::{Options, no_growth};
use tower::{Layer, ServiceExt, service_fn};

use crate::clock::HandClock;

const SESSION: Bytes = Bytes::from_static(b"session");
const FORM: &str = "application/x-www-form-urlencoded";

/// A body that comes in pieces, each of which has to be waited for; it may break off after some.
struct Pieces {
    left: Vec<Bytes>,
    waits: bool,
    breaks: bool,
}

impl Pieces {
    fn of(text: &str, breaks: bool) -> Self {
        let left = text.as_bytes().chunks(7).rev().map(Bytes::copy_from_slice).collect();
        Self { left, waits: true, breaks }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        if std::mem::replace(&mut self.waits, false) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.waits = true;
        match self.left.pop() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if std::mem::replace(&mut self.breaks, false) => Poll::Ready(Some(Err("broken off"))),
            None => Poll::Ready(None),
        }
    }
}

/// What guards a server that reads each body to its end.
struct Guarded {
    store: Arc<CsrfStore>,
    forms: Arc<Budget>,
}

impl Guarded {
    fn new() -> Self {
        let store = Arc::new(CsrfStore::new(StoreLimits::default()).unwrap());
        Self { store, forms: Budget::root("forms", 1_000) }
    }

    fn options(&self) -> Options {
        Options::default().budget(&self.forms)
    }

    fn request(&self, content: &str, body: Pieces) -> Request<Pieces> {
        let request = Request::post("/x").header("origin", "https://h").header("content-type", content);
        request.extension(Caller::Session(SESSION)).body(body).unwrap()
    }

    /// A form with this token.
    fn form(&self, token: &str, breaks: bool) -> Request<Pieces> {
        self.request(FORM, Pieces::of(&format!("name=value&csrf_token={token}"), breaks))
    }

    fn token(&self) -> String {
        self.store.current(&SESSION, 0).unwrap().as_str().to_owned()
    }

    async fn send(&self, request: Request<Pieces>) -> u16 {
        let layer = CsrfLayer::new(Origins::new(["https://h"], []).unwrap(), Arc::clone(&self.store), || 0);
        let server = service_fn(|request: Request<Replay<Pieces>>| async {
            // A body that breaks off ends the handler's reading too.
            drop(request.into_body().collect().await);
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("done")))
        });
        let guarded = layer.forms_budget(Arc::clone(&self.forms)).layer(server);
        guarded.oneshot(request).await.unwrap().status().as_u16()
    }
}

staunch_leak::alone! {
    fn ground_g6_requests_that_pass_and_that_are_refused_leave_nothing_in_a_rate_layer() {
        let limiter = Arc::new(Limiter::new(PolicySet::new(Policy::login().with_site().unwrap().to_vec()).unwrap()).unwrap());
        let clock = HandClock::default();
        let layer = RateLayer::new(limiter).clock(clock.clone());
        let statuses = Cell::new((0, 0));
        let flat = no_growth(&Options::default(), || {
            clock.advance(std::time::Duration::from_secs(600));
            let server = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Bytes::new())) });
            let guarded = layer.layer(server);
            for _ in 0..10 {
                let mut request = Request::new(());
                *request.method_mut() = Method::POST;
                request.extensions_mut().insert(Client::new("192.0.2.1".parse().unwrap()));
                let (passed, refused) = statuses.get();
                match block_on(guarded.clone().oneshot(request)).unwrap().status().as_u16() {
                    429 => statuses.set((passed, refused + 1)),
                    _ => statuses.set((passed + 1, refused)),
                }
            }
        });
        flat.unwrap();
        assert_eq!(statuses.get(), (5 * 23, 5 * 23));
    }

    fn ground_g6_forms_that_are_read_are_paid_for_and_paid_back() {
        let guarded = Guarded::new();
        let token = guarded.token();
        let wrong = "A".repeat(43);
        let flat = no_growth(&guarded.options(), || {
            let send = |request| block_on(guarded.send(request));
            assert_eq!(send(guarded.form(&token, false)), 200);
            assert_eq!(send(guarded.form(&wrong, false)), 403);
            assert_eq!(send(guarded.form(&token, true)), 400);
            // Too large for the budget, and a first part that is none.
            assert_eq!(send(guarded.request(FORM, Pieces::of(&"x".repeat(2_000), false))), 503);
            assert_eq!(send(guarded.request("multipart/form-data; boundary=b", Pieces::of("--b\r\nx", false))), 403);
        });
        flat.unwrap();
        assert_eq!(guarded.forms.used(), 0);
        assert!(guarded.forms.peak() > 0);
    }

    fn ground_g6_a_form_that_is_dropped_at_any_await_is_paid_back() {
        let guarded = Guarded::new();
        let token = guarded.token();
        let run = |future: CutShort<_>| -> Cut { block_on(future) };
        let make = || guarded.send(guarded.form(&token, false));
        let paid_back = || assert_eq!(guarded.forms.used(), 0);
        let swept = all_cancellations(&guarded.options(), run, make, paid_back).unwrap();
        assert!(swept.points > 10, "{swept}");
    }

    fn ground_g6_a_form_whose_budget_refuses_is_refused_and_paid_back() {
        std::panic::set_hook(Box::new(|_| {}));
        let guarded = Guarded::new();
        let token = guarded.token();
        let swept = all_faults(&guarded.options(), Manners::default(), || {
            match block_on(guarded.send(guarded.form(&token, false))) {
                200 => Ok(()),
                status => Err(format!("refused by {status}")),
            }
        });
        let points = swept.unwrap_or_else(|broken| panic!("{broken}")).points;
        assert!(points >= 5, "{points}: a point for each piece");
        assert_eq!(guarded.forms.used(), 0);
    }
}

staunch_leak::test! {
    fn ground_g6_pairs_of_login_forms_are_remembered_by_nobody() {
        let forms = PreSession::new(&SystemRandom).unwrap();
        for now in 0..100 {
            let (cookie, token) = forms.issue(now, &SystemRandom).unwrap();
            let second = forms.token(cookie.as_bytes(), now, &SystemRandom).unwrap().unwrap();
            assert_eq!(forms.verify(cookie.as_bytes(), token.as_bytes(), now), Verdict::Valid);
            assert_eq!(forms.verify(cookie.as_bytes(), second.as_bytes(), now + 601), Verdict::Expired);
        }
    }
}
