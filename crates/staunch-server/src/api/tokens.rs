//! The caller's API tokens.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::openapi::Problems;
use crate::app::App;
use crate::ask::Segments;
use crate::auth::{Caller, Visitor};
use crate::bounds::CREDENTIALS_BYTES_MAX;
use crate::problem::{Code, Refusal};
use crate::wire::{NewToken, Secret, Token, TokenCreated, TokenList};

/// The caller's tokens, the newest first; without themselves.
#[utoipa::path(get, path = "/me/tokens", tag = "accounts", responses((status = 200, body = TokenList), Problems))]
pub(super) async fn list_my_tokens(State(app): State<App>, caller: Caller) -> Result<Json<TokenList>, Refusal> {
    let user = caller.user_id().ok_or_else(|| Refusal::new(Code::NoSession))?;
    let rows = app.auth.accounts.tokens(user).await?;
    Ok(Json(TokenList { items: rows.iter().map(Token::from).collect() }))
}

/// Makes a token of the caller. It is shown this once. One that is made with a token expires with that one at the latest.
#[utoipa::path(
    post, path = "/me/tokens", tag = "accounts",
    request_body(content = NewToken, content_type = "application/json"),
    responses((status = 201, body = TokenCreated), Problems),
)]
pub(super) async fn create_my_token(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Refusal> {
    let asked = app.bodies.json::<NewToken>(request, CREDENTIALS_BYTES_MAX).await?.value;
    let (token, row) = app.auth.create_token(&caller, asked, &visitor).await?;
    let body = TokenCreated {
        id: row.id.to_string(),
        token: Secret::new(token.expose()),
        prefix: row.shown,
        scope: row.scope.into(),
        expires_at: row.expires_at.map(|at| at.rfc3339()),
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Revokes a token of the caller.
#[utoipa::path(
    delete, path = "/me/tokens/{id}", tag = "accounts",
    params(("id" = String, Path, description = "The token's id.")),
    responses((status = 204, description = "It is worthless."), Problems),
)]
pub(super) async fn revoke_my_token(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<StatusCode, Refusal> {
    let user = caller.user_id().ok_or_else(|| Refusal::new(Code::NoSession))?;
    app.auth.revoke_token(id.parse()?, user, &caller, &visitor).await?;
    Ok(StatusCode::NO_CONTENT)
}
