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
use http::header::{ALLOW, SET_COOKIE, VARY};
use http::{HeaderName, HeaderValue};

use crate::headers;
use crate::host::Hosts;
use crate::pages;
use crate::problem::{Code, Refusal};
use crate::tally::Tally;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What layers behind the gate put on an answer, and a refusal leaves with too.
const KEPT: [HeaderName; 5] =
    [ALLOW, SET_COOKIE, VARY, HeaderName::from_static("ratelimit"), HeaderName::from_static("ratelimit-policy")];

/// What stands before every handler.
#[derive(Debug)]
pub(crate) struct Gate {
    hosts: Hosts,
    secure: bool,
    answer: Duration,
    tally: Arc<Tally>,
    life: u32,
    next: AtomicU64,
}

impl Gate {
    /// A gate for these hosts, behind https or not; a handler has `answer` to begin its answer.
    pub(crate) fn new(hosts: Hosts, secure: bool, answer: Duration, tally: Arc<Tally>) -> Self {
        // Random a process, so that ids of two lives of the server do not meet in one log. Truncation is meant.
        let life = RandomState::new().hash_one(0u8) as u32;
        Self { hosts, secure, answer, tally, life, next: AtomicU64::new(1) }
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
    let is_page = pages::is_page(uri.path(), request.headers());
    let mut response = match gate.hosts.admit(&request) {
        Err(refusal) => refusal.into_response(),
        Ok(()) => answer(&gate, next.run(request)).await,
    };
    if let Some(refusal) = refusal_of(&mut response) {
        if let Some(secret) = refusal.secret() {
            tracing::error!(request = %id, %method, path = uri.path(), "{secret}");
        }
        let mut rendered = if is_page { pages::mishap(&refusal, &id) } else { refusal.render(&id, uri.path()) };
        for name in KEPT {
            for value in response.headers().get_all(&name) {
                rendered.headers_mut().append(name.clone(), value.clone());
            }
        }
        response = rendered;
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    headers::secure(response.headers_mut(), gate.secure);
    gate.tally.answered(response.status());
    tracing::debug!(
        request = %id, %method, path = uri.path(), status = response.status().as_u16(),
        micros = started.elapsed().as_micros() as u64, "answered"
    );
    response
}

/// The refusal that an answer carries: ours, or a guard's.
fn refusal_of(response: &mut Response) -> Option<Refusal> {
    let extensions = response.extensions_mut();
    let guard = extensions.remove::<staunch_guard::Refusal>();
    extensions.remove().or_else(|| guard.as_ref().map(Refusal::of_guard))
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
