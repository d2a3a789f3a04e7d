//! Workflows: list, show, check.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use staunch_engine::SubmitError;
use utoipa::IntoParams;

use super::openapi::Problems;
use crate::app::App;
use crate::ask::{Asked, Segments};
use crate::etag;
use crate::problem::Refusal;
use crate::wire::{BrokenFile, Diagnostic, Validation, Workflow, WorkflowDetail, WorkflowList};

/// All workflows there are, and the files with errors.
#[utoipa::path(get, path = "/workflows", tag = "workflows", responses((status = 200, body = WorkflowList), Problems))]
pub(super) async fn list_workflows(State(app): State<App>) -> Result<Json<WorkflowList>, Refusal> {
    let rows = app.engine.store().workflows().await?;
    let rows: BTreeMap<_, _> = rows.iter().map(|row| (row.name.as_str(), row)).collect();
    let catalog = app.engine.catalog();
    let known = catalog.list();
    let items = known.iter().map(|known| {
        let row = rows.get(known.name.as_str()).filter(|row| row.revision == known.revision);
        Workflow::new(known, row.map(|row| row.updated_at))
    });
    let broken = catalog.broken().into_iter().map(|(file, diagnostics)| BrokenFile {
        file,
        diagnostics: diagnostics.iter().map(Diagnostic::from).collect(),
    });
    Ok(Json(WorkflowList { items: items.collect(), broken: broken.collect() }))
}

/// A workflow with its text. The ETag is its revision.
#[utoipa::path(
    get, path = "/workflows/{name}", tag = "workflows",
    params(("name" = String, Path, description = "The workflow's name."),
           ("If-None-Match" = Option<String>, Header, description = "An ETag that the client has.")),
    responses((status = 200, body = WorkflowDetail, headers(("ETag" = String, description = "The revision."))),
              (status = 304, description = "The client has it."), Problems),
)]
pub(super) async fn show_workflow(
    State(app): State<App>,
    Segments(name): Segments<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let unknown = || {
        let nearest = app.engine.catalog().nearest(&name);
        Refusal::from(SubmitError::UnknownWorkflow { name: name.clone(), nearest })
    };
    let known = app.engine.catalog().get(&name).ok_or_else(unknown)?;
    let etag = format!("\"{}\"", known.revision);
    if headers.get_all(IF_NONE_MATCH).iter().any(|given| etag::matches(given.as_bytes(), &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
    }
    let text = app.engine.text(known.revision).await?.ok_or_else(unknown)?;
    let rows = app.engine.store().workflows().await?;
    let row = rows.iter().find(|row| row.name == name && row.revision == known.revision);
    let workflow = Workflow::new(&known, row.map(|row| row.updated_at));
    Ok(([(ETAG, etag)], Json(WorkflowDetail { workflow, text: text.to_string() })).into_response())
}

/// Parameters of a check.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ValidateQuery {
    /// The name that the workflow has if its text does not say: the file's name without its ending.
    #[serde(default)]
    stem: Option<String>,
}

/// Checks the text of a workflow without remembering or running it.
#[utoipa::path(
    post, path = "/workflows/validate", tag = "workflows",
    params(ValidateQuery),
    request_body(content = String, content_type = "application/yaml", description = "The text of the workflow."),
    responses((status = 200, description = "Whether it could be run.", body = Validation), Problems),
)]
pub(super) async fn validate_workflow(
    State(app): State<App>,
    Asked(query): Asked<ValidateQuery>,
    request: Request,
) -> Result<Json<Validation>, Refusal> {
    let limits = app.engine.limits();
    let bytes_max = limits.body_bytes_max.min(limits.workflow_bytes_max) as usize;
    let text = app.bodies.yaml(request, bytes_max).await?;
    let engine = app.engine.clone();
    let stem = query.stem.unwrap_or_else(|| "workflow".to_owned());
    let parsed = app.blocking(move || engine.validate(&text.value, &stem)).await?;
    let workflow = parsed.workflow.as_ref().map(|workflow| Workflow::of_text(workflow, None));
    let diagnostics = parsed.diagnostics.iter().map(Diagnostic::from).collect();
    Ok(Json(Validation { valid: workflow.is_some(), diagnostics, workflow }))
}
