//! Runs: list, show, events.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::LINK;
use serde::Deserialize;
use serde_json::Value;
use staunch_flow::RunOutcome;
use staunch_store::{Results, RunQuery};
use utoipa::IntoParams;

use super::openapi::Problems;
use crate::app::App;
use crate::ask::{Asked, Segments, encode, run_id, within};
use crate::bounds::{DETAIL_RESULTS_BYTES_MAX, PAGE_BYTES_MAX, PAGE_ROWS, PAGE_ROWS_MAX};
use crate::cursor::number;
use crate::problem::{Code, Refusal};
use crate::steps::{self, Steps};
use crate::wire::{Event, EventPage, Run, RunDetail, RunPage, RunState};

/// Rows asked of the store at once: bounds what a page holds besides its answer.
const ROWS_AT_ONCE: u32 = 50;

/// Parameters of a list of runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// `next_cursor` of the page before. Opaque.
    #[serde(default)]
    cursor: Option<String>,
    /// At most this many runs, up to 200; 50 if not given. A page may hold fewer although there are more.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// Only runs of this workflow.
    #[serde(default)]
    workflow: Option<String>,
    /// Only runs in this state.
    #[serde(default)]
    state: Option<RunState>,
    /// Only runs that ended so.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    outcome: Option<RunOutcome>,
}

/// Runs, newest first.
#[utoipa::path(
    get, path = "/runs", tag = "runs", params(RunsQuery),
    responses((status = 200, body = RunPage,
               headers(("Link" = String, description = "The next page, `rel=\"next\"`, if there is one."))), Problems),
)]
pub(super) async fn list_runs(State(app): State<App>, Asked(asked): Asked<RunsQuery>) -> Result<Response, Refusal> {
    let limit = within("limit", asked.limit, PAGE_ROWS, PAGE_ROWS_MAX)?;
    let before = asked.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| Refusal::new(Code::InvalidCursor)));
    let mut query = RunQuery {
        workflow: asked.workflow.clone(),
        state: asked.state.map(Into::into),
        outcome: asked.outcome,
        before: before.transpose()?,
        limit: 0,
    };
    let (mut items, mut bytes, mut more) = (Vec::new(), 0, true);
    while more && items.len() < limit as usize && bytes < PAGE_BYTES_MAX {
        query.limit = (limit - items.len() as u32).min(ROWS_AT_ONCE);
        let page = app.engine.store().runs(query.clone()).await?;
        more = page.more;
        query.before = page.items.last().map(|row| row.head.id).or(query.before);
        for row in &page.items {
            bytes += row.head.inputs.iter().map(|(name, value)| name.len() + weight(value)).sum::<usize>() + 512;
            items.push(Run::from(row));
        }
    }
    let next_cursor = items.last().filter(|_| more).map(|run| run.id.clone());
    let link = next_cursor.as_deref().map(|cursor| [(LINK, next_link(&asked, cursor, limit))]);
    let body = Json(RunPage { items, next_cursor });
    Ok(match link {
        Some(link) => (link, body).into_response(),
        None => body.into_response(),
    })
}

/// A run with its steps. Where their output is long, `stdout` and `stderr` of the later ones are left out and marked as truncated;
/// the logs have all of it.
#[utoipa::path(
    get, path = "/runs/{id}", tag = "runs", params(("id" = String, Path, description = "The run's id.")),
    responses((status = 200, body = RunDetail), Problems),
)]
pub(super) async fn show_run(
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Json<RunDetail>, Refusal> {
    let run = run_id(&id)?;
    let _turn = app.turn().await;
    let results = Results::UpTo { bytes: DETAIL_RESULTS_BYTES_MAX };
    let view = app.engine.view(run, results).await?.ok_or_else(|| steps::unknown_run(run))?;
    Ok(Json(RunDetail::from(view)))
}

/// Parameters of a list of events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Only events after this number; `next_cursor` of the page before.
    #[serde(default)]
    after: Option<String>,
    /// At most this many events, up to 200; 50 if not given.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// What happened to a run, oldest first.
#[utoipa::path(
    get, path = "/runs/{id}/events", tag = "runs",
    params(("id" = String, Path, description = "The run's id."), EventsQuery),
    responses((status = 200, body = EventPage), Problems),
)]
pub(super) async fn list_run_events(
    State(app): State<App>,
    Segments(id): Segments<String>,
    Asked(asked): Asked<EventsQuery>,
) -> Result<Json<EventPage>, Refusal> {
    let run = run_id(&id)?;
    let limit = within("limit", asked.limit, PAGE_ROWS, PAGE_ROWS_MAX)?;
    let after = asked.after.as_deref().map_or(Ok(0), number).map_err(|_| Refusal::new(Code::InvalidCursor))?;
    let row = steps::run(&app, run).await?;
    let steps = Steps::of(&app, &row).await?;
    let rows = app.engine.store().events(run, after, limit).await?;
    let (mut items, mut bytes, mut more) = (Vec::new(), 0, rows.len() == limit as usize);
    for row in rows {
        bytes += row.body.len() + 128;
        items.push(Event::new(row, &steps));
        if bytes >= PAGE_BYTES_MAX {
            more = true;
            break;
        }
    }
    let next_cursor = items.last().filter(|_| more).map(|event| event.seq.to_string());
    Ok(Json(EventPage { items, next_cursor }))
}

fn next_link(asked: &RunsQuery, cursor: &str, limit: u32) -> String {
    let mut target = format!("/api/v1/runs?cursor={cursor}&limit={limit}");
    for (name, value) in [
        ("workflow", asked.workflow.as_deref()),
        ("state", asked.state.map(RunState::word)),
        ("outcome", asked.outcome.map(RunOutcome::word)),
    ] {
        if let Some(value) = value {
            target.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    format!("<{target}>; rel=\"next\"")
}

/// About how many bytes a value has as JSON: inputs are scalars.
fn weight(value: &Value) -> usize {
    value.as_str().map_or(16, str::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_the_filters() {
        let asked = RunsQuery {
            cursor: None,
            limit: None,
            workflow: Some("a&b>c".to_owned()),
            state: Some(RunState::Ended),
            outcome: Some(RunOutcome::TimedOut),
        };
        let link = next_link(&asked, "run_x", 7);
        let expected =
            "</api/v1/runs?cursor=run_x&limit=7&workflow=a%26b%3Ec&state=ended&outcome=timed_out>; rel=\"next\"";
        assert_eq!(link, expected);
    }
}
