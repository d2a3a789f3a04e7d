//! Whether the process lives, and whether it is ready.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use serde::Deserialize;
use staunch_engine::{Level, Unready};
use utoipa::IntoParams;

use crate::app::App;
use crate::ask::Asked;
use crate::problem::Refusal;
use crate::wire::{Check, Health};

/// When to look again at a server that is not ready.
const AGAIN_SECONDS: u64 = 5;

/// Says that the process answers. Restart it if this fails.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "It answers.", body = String)))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Parameters of the readiness check.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadyQuery {
    /// Say what was looked at. Any value, or none.
    #[serde(default)]
    verbose: Option<String>,
}

/// Says whether runs are accepted and executed. Send no work here while this fails.
#[utoipa::path(
    get, path = "/readyz", tag = "health", params(ReadyQuery),
    responses((status = 200, description = "Ready.", body = Health), (status = 503, description = "Not ready.", body = Health)),
)]
pub(super) async fn readyz(State(app): State<App>, Asked(asked): Asked<ReadyQuery>) -> Result<Response, Refusal> {
    let ready = app.engine.ready().await;
    let mut health = Health { ready: ready.is_ok(), checks: Vec::new() };
    if asked.verbose.is_some() {
        let stats = app.engine.stats();
        let stopping = app.engine.tasks().token().is_cancelled();
        let limits = app.engine.limits();
        let level = app.engine.pressure().level();
        let accepts = if level < Level::Refuse {
            "accepts and executes runs"
        } else {
            "accepts runs; none begins while memory is scarce"
        };
        health.checks = vec![
            check("engine", ready.is_ok(), ready.err().map_or_else(|| accepts.to_owned(), says)),
            check("stop", !stopping, if stopping { "stopping" } else { "not asked for" }.to_owned()),
            check(
                "dispatch",
                app.engine.turns().is_ok(),
                format!("last turned {} ms ago", stats.dispatch_idle.as_millis()),
            ),
            check("memory", level < Level::Refuse, format!("pressure: {}", level.word())),
            check("steps", true, format!("{} of {} run", stats.steps_active, limits.steps_active_max)),
            check("streams", true, format!("{} of {} open", app.streams_open(), limits.streams_max)),
        ];
        health.checks.extend(
            stats
                .budgets
                .iter()
                .map(|(name, used, limit)| check(name, used <= limit, format!("{used} of {limit} bytes held"))),
        );
    }
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = (status, [(CACHE_CONTROL, "no-store")], Json(health)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, AGAIN_SECONDS.into());
    }
    Ok(response)
}

/// Why the engine is not ready, for anybody: of the store no more than a refusal would say, since its own text names a place of the disk.
fn says(unready: Unready) -> String {
    match unready {
        Unready::Stopping | Unready::Stuck(_) | Unready::Pressed => unready.to_string(),
        Unready::Store(error) => Refusal::from(error).code().title().to_owned(),
    }
}

fn check(name: &str, ok: bool, detail: String) -> Check {
    Check { name: name.to_owned(), ok, detail }
}
