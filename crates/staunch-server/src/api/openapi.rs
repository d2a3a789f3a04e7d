//! All routes with their documentation: what is served and what is described are one list.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::{Content, Ref, RefOr};
use utoipa::{IntoResponses, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{audit, events, explain, health, login, logs, me, memory, metrics, runs, submit, tokens, users, workflows};
use crate::app::App;
use crate::wire::{EndEvent, GapEvent, LogEvent, Problem, RunEvent};

/// What does not stand beside a handler.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Staunch",
        description = "A workflow server in which nothing leaks. Errors are problem+json (RFC 9457) with a stable `code`. Only additions are made under /api/v1."
    ),
    components(schemas(Problem, RunEvent, LogEvent, GapEvent, EndEvent)),
    tags(
        (name = "workflows", description = "What can be run."),
        (name = "runs", description = "What runs, ran, or shall run."),
        (name = "logs", description = "What steps said."),
        (name = "events", description = "What happens now."),
        (name = "accounts", description = "Who may do what: users, sessions, tokens, and what they did."),
        (name = "health", description = "Whether the server is well."),
    )
)]
struct Head;

/// Every refusal and failure: one answer for all of them, documented once.
pub(super) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let schema = Ref::from_schema_name("Problem");
        let response = ResponseBuilder::new()
            .description("A problem: see its `code`.")
            .content("application/problem+json", Content::new(Some(schema)))
            .build();
        BTreeMap::from([("default".to_owned(), response.into())])
    }
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "health",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
async fn openapi_json(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "application/json")], app.openapi.clone()).into_response()
}

fn all() -> OpenApiRouter<App> {
    let api = OpenApiRouter::default()
        .routes(routes!(workflows::list_workflows))
        .routes(routes!(workflows::validate_workflow))
        .routes(routes!(workflows::show_workflow))
        .routes(routes!(submit::submit_run))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::show_run))
        .routes(routes!(submit::cancel_run))
        .routes(routes!(submit::rerun_run))
        .routes(routes!(runs::list_run_events))
        .routes(routes!(logs::show_log))
        .routes(routes!(logs::download_log))
        .routes(routes!(events::follow_events))
        .routes(routes!(login::set_up))
        .routes(routes!(login::log_in))
        .routes(routes!(login::log_out))
        .routes(routes!(me::show_me))
        .routes(routes!(me::show_csrf_token))
        .routes(routes!(me::change_password))
        .routes(routes!(me::list_my_sessions, me::end_my_sessions))
        .routes(routes!(me::end_my_session))
        .routes(routes!(tokens::list_my_tokens, tokens::create_my_token))
        .routes(routes!(tokens::revoke_my_token))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::show_user, users::change_user, users::delete_user))
        .routes(routes!(users::list_user_sessions, users::end_user_sessions))
        .routes(routes!(users::list_user_tokens))
        .routes(routes!(users::revoke_user_token))
        .routes(routes!(audit::list_audit))
        .routes(routes!(memory::show_memory))
        .routes(routes!(openapi_json));
    OpenApiRouter::with_openapi(Head::openapi())
        .nest("/api/v1", api)
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::show_metrics))
        .routes(routes!(explain::explain_problem))
}

/// The OpenAPI document, as `docs/openapi.json` has it.
pub(crate) fn document() -> String {
    let mut text = all().into_openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// All routes of the API, and what stands beside it.
pub(crate) fn routes() -> Router<App> {
    Router::from(all())
}

#[cfg(test)]
mod tests;
