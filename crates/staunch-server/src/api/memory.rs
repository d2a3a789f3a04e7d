//! What the process holds, and whether it grows.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::Problems;
use crate::app::App;
use crate::ask::Asked;
use crate::problem::Refusal;
use crate::wire::Memory;

/// Parameters of a look at what is held.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MemoryParameters {
    /// `1`: look now at what costs more too (rows, files), instead of telling what was seen last.
    #[serde(default)]
    #[param(minimum = 0, maximum = 1)]
    fresh: Option<u8>,
}

/// What the server holds, and what becomes of each resource: memory, file descriptors, threads, tasks, child processes, files, rows.
#[utoipa::path(
    get, path = "/memory", tag = "health", params(MemoryParameters),
    responses((status = 200, body = Memory), Problems),
)]
pub(super) async fn show_memory(
    State(app): State<App>,
    Asked(asked): Asked<MemoryParameters>,
) -> Result<Json<Memory>, Refusal> {
    Ok(Json(app.memory(asked.fresh == Some(1)).await))
}
