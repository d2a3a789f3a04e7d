//! The whole stack, in order: gate (id, host, time limit, panics), who calls and what that costs, CSRF, access, the routes.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use bytes::Bytes;
use staunch_engine::Engine;
use staunch_guard::CsrfLayer;
use staunch_store::Accounts;

use crate::app::App;
use crate::auth::{Auth, access, identify};
use crate::bounds::Times;
use crate::config::{BindError, ServerConfig, Settings};
use crate::gate::{self, Gate};
use crate::host::Hosts;
use crate::lookout::Lookout;
use crate::problem::{Code, Refusal};
#[cfg(test)]
use crate::tally::Tally;
use crate::{api, pages, pressure};

/// The routes of the HTTP face, to be served by something else than [`crate::Server`]. Without a socket of ours nobody is known to be on
/// this machine, so each caller needs a session or a token.
///
/// # Errors
/// As [`crate::bind_with`].
pub async fn router(engine: Engine, accounts: Arc<dyn Accounts>, config: &ServerConfig) -> Result<Router, BindError> {
    Ok(build(engine, accounts, config, Times::default()).await?.0)
}

/// The OpenAPI document of the API, as JSON text that ends with a newline.
pub fn openapi() -> String {
    api::document()
}

/// The routes, and what their handlers share.
pub(crate) async fn build(
    engine: Engine,
    accounts: Arc<dyn Accounts>,
    config: &ServerConfig,
    times: Times,
) -> Result<(Router, App), BindError> {
    let settings = Settings::of(config)?;
    let (hosts, secure) = (Hosts::new(&settings.hosts), settings.secure);
    let auth = Auth::new(accounts, settings, engine.limits(), engine.tasks()).await?;
    let lookout = Lookout::new(config.watch.clone(), config.allocator, engine.limits());
    let app = App::new(engine, auth, lookout, times, Bytes::from(api::document()));
    let routes = api::routes().merge(pages::routes()).with_state(app.clone());
    let gate = Gate::new(hosts, secure, times.answer, Arc::clone(&app.tally));
    Ok((behind(gate, known(with_fallbacks(routes), &app)), app))
}

/// Routes that need to know who calls. The first layer here is the last that a request passes.
fn known(routes: Router, app: &App) -> Router {
    let sessions = Arc::clone(&app.auth.sessions);
    let clock = Arc::clone(&sessions);
    let csrf = CsrfLayer::new(app.auth.origins.clone(), sessions, move || clock.seconds())
        .forms_budget(Arc::clone(app.bodies.budget()))
        .count_into(Arc::clone(&app.auth.csrf));
    routes
        .layer(from_fn_with_state(app.clone(), access::pass))
        .layer(csrf)
        .layer(from_fn_with_state(app.clone(), identify::pass))
        .layer(from_fn_with_state(app.clone(), pressure::pass))
}

/// Routes behind the gate, for whoever comes.
#[cfg(test)]
pub(crate) fn guarded(routes: Router, hosts: Hosts, times: Times, tally: Arc<Tally>) -> Router {
    behind(Gate::new(hosts, false, times.answer, tally), with_fallbacks(routes))
}

/// Routes behind the gate.
pub(crate) fn behind(gate: Gate, routes: Router) -> Router {
    routes.layer(from_fn_with_state(Arc::new(gate), gate::pass))
}

/// Routes, and refusals for what is none.
pub(crate) fn with_fallbacks(routes: Router) -> Router {
    routes
        .fallback(async || Refusal::new(Code::NotFound))
        .method_not_allowed_fallback(async || Refusal::new(Code::MethodNotAllowed))
}
