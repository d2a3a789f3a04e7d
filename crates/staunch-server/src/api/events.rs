//! The one live stream: runs and logs, as server-sent events.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::Problems;
use crate::app::App;
use crate::ask::Asked;
use crate::auth::Caller;
use crate::problem::{Code, Refusal};
use crate::sse;

/// Parameters of a live stream.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// `run:ID` for what happens to a run, `log:ID:STEP` for what a step says; several are parted by commas.
    topics: String,
    /// The `id` of the last event the client has; the header `Last-Event-ID` counts before it.
    #[serde(default)]
    after: Option<String>,
}

/// Follows runs and logs live, from their start or from where the client left off. Each event is a `RunEvent` (under the event's own
/// name), a `LogEvent` (`log`), a `GapEvent` (`gap`) or an `EndEvent` (`end`). All output of an attempt comes before its `step.ended`.
#[utoipa::path(
    get, path = "/events", tag = "events",
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event the client has.")),
    responses((status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream"), Problems),
)]
pub(super) async fn follow_events(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Asked(asked): Asked<StreamQuery>,
) -> Result<Response, Refusal> {
    let after = match headers.get("last-event-id") {
        Some(id) => Some(id.to_str().map_err(|_| Refusal::new(Code::InvalidCursor))?),
        None => asked.after.as_deref(),
    };
    sse::open(app, &asked.topics, after.filter(|id| !id.is_empty()), &caller).await
}
