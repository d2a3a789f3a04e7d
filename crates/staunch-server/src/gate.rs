//! What every request passes: its id, the host check, a time limit, a net for panics; and what every answer leaves with.

use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderName, HeaderValue};

use crate::host::Hosts;
use crate::problem::{Code, Refusal};
use crate::tally::Tally;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What stands before every handler.
#[derive(Debug)]
pub(crate) struct Gate {
    hosts: Hosts,
    answer: Duration,
    tally: Arc<Tally>,
    life: u32,
    next: AtomicU64,
}

impl Gate {
    /// A gate for these hosts; a handler has `answer` to begin its answer.
    pub(crate) fn new(hosts: Hosts, answer: Duration, tally: Arc<Tally>) -> Self {
        // Random a process, so that ids of two lives of the server do not meet in one log. Truncation is meant.
        let life = RandomState::new().hash_one(0u8) as u32;
        Self { hosts, answer, tally, life, next: AtomicU64::new(1) }
    }

    fn id(&self) -> String {
        // Relaxed: the number only has to be unique.
        format!("{:08x}-{:06x}", self.life, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// The middleware.
pub(crate) async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = gate.id();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = match gate.hosts.admit(&request) {
        Err(refusal) => refusal.into_response(),
        Ok(()) => answer(&gate, next.run(request)).await,
    };
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        if let Some(secret) = refusal.secret() {
            tracing::error!(request = %id, %method, path = uri.path(), "{secret}");
        }
        let allow = response.headers_mut().remove(http::header::ALLOW);
        response = refusal.render(&id, uri.path());
        if let Some(allow) = allow {
            response.headers_mut().insert(http::header::ALLOW, allow);
        }
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    gate.tally.answered(response.status());
    tracing::debug!(
        request = %id, %method, path = uri.path(), status = response.status().as_u16(),
        micros = started.elapsed().as_micros() as u64, "answered"
    );
    response
}

async fn answer(gate: &Gate, handler: impl Future<Output = Response>) -> Response {
    // A handler holds nothing across requests, so a panic leaves nothing half done that another request could see.
    match tokio::time::timeout(gate.answer, AssertUnwindSafe(handler).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Refusal::internal(format_args!("a handler panicked: {text}")).into_response()
        }
        Err(_) => Refusal::new(Code::TimedOut).retry_after(Duration::from_secs(1)).into_response(),
    }
}
