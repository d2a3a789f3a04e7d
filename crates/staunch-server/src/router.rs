//! The whole stack, in order: gate (id, host, cross-site, time limit, panics), then the routes.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use bytes::Bytes;
use staunch_engine::Engine;

use crate::api;
use crate::app::App;
use crate::bounds::Times;
use crate::gate::{self, Gate};
use crate::host::Hosts;
use crate::problem::{Code, Refusal};
use crate::tally::Tally;

/// The routes of the HTTP face, to be served by something else than [`crate::Server`]. It answers to loopback names and IP
/// addresses only.
pub fn router(engine: Engine) -> Router {
    build(engine, &[], Times::default()).0
}

/// The OpenAPI document of the API, as JSON text that ends with a newline.
pub fn openapi() -> String {
    api::document()
}

/// The routes, and what their handlers share.
pub(crate) fn build(engine: Engine, hosts: &[String], times: Times) -> (Router, App) {
    let app = App::new(engine, times, Bytes::from(api::document()));
    let routes = api::routes().with_state(app.clone());
    (guarded(routes, Hosts::new(hosts), times, Arc::clone(&app.tally)), app)
}

/// Routes behind the gate.
pub(crate) fn guarded(routes: Router, hosts: Hosts, times: Times, tally: Arc<Tally>) -> Router {
    let gate = Arc::new(Gate::new(hosts, times.answer, tally));
    routes
        .fallback(async || Refusal::new(Code::NotFound))
        .method_not_allowed_fallback(async || Refusal::new(Code::MethodNotAllowed))
        .layer(from_fn_with_state(gate, gate::pass))
}
