//! What the debug listener answers, and to whom.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CACHE_CONTROL;
use staunch_engine::Tasks;
use staunch_store::Role;

use super::heap;
use super::listen::DebugListen;
use super::turn::Turns;
use crate::allocator::Allocator;
use crate::app::App;
use crate::auth::{Caller, Principal, identify};
use crate::bounds::Times;
use crate::config::BindError;
use crate::gate::Gate;
use crate::host::Hosts;
use crate::problem::{Code, Refusal};
use crate::router::{behind, with_fallbacks};
use crate::serve::{Room, open as open_room};
use crate::tally::Tally;

/// Connections at once. One person with a profiler needs one or two.
const CONNECTIONS_MAX: u32 = 8;
/// How long after a difference's last second its answer may begin.
const ANSWER: Duration = Duration::from_secs(30 + heap::SECONDS_MAX as u64);

const INDEX: &str = "\
/debug/pprof/heap            what is live by where it was allocated: gzipped, for `go tool pprof` and whatever reads its format
/debug/pprof/heap?seconds=N  what changes in N seconds, 60 at most
/debug/pprof/heap?debug=1    as text

A profile holds addresses and names of functions, never what is in memory. One is taken at a time, and ten a minute.
";

/// What the handlers share.
pub(super) struct Debug {
    pub(super) app: App,
    pub(super) allocator: Allocator,
    pub(super) turns: Turns,
}

/// Listens at `listen`, as tasks of `tasks`. Also returns where that is.
///
/// # Errors
/// The place cannot be had.
pub(crate) async fn open(
    listen: &DebugListen,
    app: &App,
    allocator: Allocator,
    tasks: &Tasks,
) -> Result<(Room, DebugListen), BindError> {
    let (door, at) = listen.bind().await?;
    let times = Times { answer: ANSWER, ..app.times };
    // Not the server's own: what is counted there is the public face.
    let tally = Arc::new(Tally::default());
    let gate = Gate::new(Hosts::default(), false, times.answer, Arc::clone(&tally));
    let debug = Arc::new(Debug { app: app.clone(), allocator, turns: Turns::new() });
    let router = behind(gate, routes(debug));
    Ok((open_room(door, router, tasks, CONNECTIONS_MAX, times, tally), at))
}

/// The first layer here is the last that a request passes.
fn routes(debug: Arc<Debug>) -> Router {
    let app = debug.app.clone();
    let routes = Router::new()
        .route("/debug/pprof/", get(async || ([(CACHE_CONTROL, "no-store")], INDEX)))
        .route("/debug/pprof/heap", get(heap::heap))
        .with_state(debug);
    with_fallbacks(routes).layer(from_fn(admins_only)).layer(from_fn_with_state(app, identify::pass))
}

/// The middleware: lets holders of an admin's token through, and nobody else: neither a session, which a browser sends by itself, nor
/// whoever is on this machine.
async fn admins_only(caller: Caller, request: Request, next: Next) -> Response {
    match (&caller.principal, caller.role()) {
        (Principal::Token(_), Some(Role::Admin)) => next.run(request).await,
        (Principal::Token(_) | Principal::Session(_), _) => {
            Refusal::new(Code::Forbidden).detail("it takes a token of scope admin, of an admin").into_response()
        }
        _ => Refusal::new(Code::Unauthenticated).into_response(),
    }
}
