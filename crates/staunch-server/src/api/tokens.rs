//! The caller's API tokens.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use staunch_store::TokenCreated as Created;

use super::openapi::Problems;
use crate::app::App;
use crate::ask::Segments;
use crate::auth::token::ApiToken;
use crate::auth::{Caller, Visitor, role_of};
use crate::bounds::CREDENTIALS_BYTES_MAX;
use crate::problem::{Code, Refusal};
use crate::wire::{NewToken, Secret, Token, TokenCreated, TokenList};

/// Days that a token may last, if it does not last for ever.
const DAYS_MAX: u32 = 3_660;
/// Bytes of what a token is called; the store takes no more.
const NAME_BYTES_MAX: usize = 128;

/// The caller's tokens, the newest first; without themselves.
#[utoipa::path(get, path = "/me/tokens", tag = "accounts", responses((status = 200, body = TokenList), Problems))]
pub(super) async fn list_my_tokens(State(app): State<App>, caller: Caller) -> Result<Json<TokenList>, Refusal> {
    let user = caller.user_id().ok_or_else(|| Refusal::new(Code::NoSession))?;
    let rows = app.auth.accounts.tokens(user).await?;
    Ok(Json(TokenList { items: rows.iter().map(Token::from).collect() }))
}

/// Makes a token of the caller. It is shown this once.
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
    let user = caller.user_id().ok_or_else(|| Refusal::new(Code::NoSession))?;
    let scope = staunch_store::Scope::from(asked.scope);
    let invalid = |why: &str| Refusal::new(Code::InvalidBody).detail(why);
    if asked.name.is_empty() || asked.name.len() > NAME_BYTES_MAX || asked.name.chars().any(char::is_control) {
        return Err(invalid("`name` must have 1 to 128 bytes, none of them control characters"));
    }
    if asked.expires_in_days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
        return Err(invalid("`expires_in_days` must be from 1 to 3660"));
    }
    if caller.role().is_none_or(|role| role < role_of(scope)) {
        let why = format_args!("a token of scope {} is more than the caller may", scope.word());
        return Err(Refusal::new(Code::Forbidden).detail(why));
    }
    app.auth.prove_again(&caller, asked.current_password.as_ref()).await?;
    let token = ApiToken::generate()?;
    let new = staunch_store::NewToken {
        user,
        name: asked.name,
        shown: token.shown().to_owned(),
        hash: token.fingerprint(),
        scope,
        ttl: asked.expires_in_days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
    };
    match app.auth.accounts.create_token(new, caller.actor(&visitor)).await? {
        Created::Created(row) => {
            let body = TokenCreated {
                id: row.id.to_string(),
                token: Secret::new(token.expose()),
                prefix: row.shown,
                scope: row.scope.into(),
                expires_at: row.expires_at.map(|at| at.rfc3339()),
            };
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Created::NoUser => Err(Refusal::new(Code::UnknownUser)),
        Created::Full { limit } => Err(Refusal::new(Code::TokensFull).detail(format_args!("{limit} at most"))),
    }
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
    app.auth.revoke_token(id.parse()?, user, caller.actor(&visitor)).await?;
    Ok(StatusCode::NO_CONTENT)
}
