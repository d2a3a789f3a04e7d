//! The audit log, for admins.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use staunch_store::AuditQuery;
use utoipa::IntoParams;

use super::openapi::Problems;
use crate::app::App;
use crate::ask::{Asked, within};
use crate::bounds::{PAGE_ROWS, PAGE_ROWS_MAX};
use crate::problem::{Code, Refusal};
use crate::wire::{AuditLine, AuditPage};

/// Parameters of a page of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParameters {
    /// Only what this user did: a name, in any case.
    #[serde(default)]
    user: Option<String>,
    /// Only this action, such as `login.failed` or `password.wrong`.
    #[serde(default)]
    action: Option<String>,
    /// `next_cursor` of the page before. Opaque.
    #[serde(default)]
    cursor: Option<String>,
    /// At most this many, up to 200; 50 if not given.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Who did what, the newest first.
#[utoipa::path(
    get, path = "/audit", tag = "accounts", params(AuditParameters),
    responses((status = 200, body = AuditPage), Problems),
)]
pub(super) async fn list_audit(
    State(app): State<App>,
    Asked(asked): Asked<AuditParameters>,
) -> Result<Json<AuditPage>, Refusal> {
    let before = asked.cursor.map(|cursor| cursor.parse::<u64>()).transpose();
    let query = AuditQuery {
        user: match &asked.user {
            Some(name) => Some(app.auth.user(name).await?.id),
            None => None,
        },
        action: asked.action,
        before: before.map_err(|_| Refusal::new(Code::InvalidCursor))?,
        limit: within("limit", asked.limit, PAGE_ROWS, PAGE_ROWS_MAX)?,
    };
    let page = app.auth.accounts.audit_log(query).await?;
    let next_cursor = page.items.last().filter(|_| page.more).map(|last| last.n.to_string());
    Ok(Json(AuditPage { items: page.items.into_iter().map(AuditLine::from).collect(), next_cursor }))
}
