//! Users, for admins.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::Problems;
use crate::app::App;
use crate::ask::{Asked, Segments, within};
use crate::auth::{Caller, Visitor};
use crate::bounds::{CREDENTIALS_BYTES_MAX, PAGE_ROWS, PAGE_ROWS_MAX};
use crate::problem::Refusal;
use crate::wire::{NewUser, Session, SessionList, SessionsEnded, Token, TokenList, User, UserPage, UserPatch};

/// Parameters of a list of users.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UserQuery {
    /// `next_cursor` of the page before: the last name on it.
    #[serde(default)]
    after: Option<String>,
    /// At most this many, up to 200; 50 if not given.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Users, by name.
#[utoipa::path(get, path = "/users", tag = "accounts", params(UserQuery), responses((status = 200, body = UserPage), Problems))]
pub(super) async fn list_users(
    State(app): State<App>,
    Asked(asked): Asked<UserQuery>,
) -> Result<Json<UserPage>, Refusal> {
    let limit = within("limit", asked.limit, PAGE_ROWS, PAGE_ROWS_MAX)?;
    let page = app.auth.accounts.users(asked.after.as_deref(), limit).await?;
    let next_cursor = page.items.last().filter(|_| page.more).map(|last| last.name.clone());
    Ok(Json(UserPage { items: page.items.iter().map(User::from).collect(), next_cursor }))
}

/// Makes a user. The first one must be an admin, and ends the time in which everybody on this machine is one. A session gives its user's
/// password again.
#[utoipa::path(
    post, path = "/users", tag = "accounts",
    request_body(content = NewUser, content_type = "application/json"),
    responses((status = 201, body = User, headers(("Location" = String, description = "The user."))), Problems),
)]
pub(super) async fn create_user(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Refusal> {
    let asked = app.bodies.json::<NewUser>(request, CREDENTIALS_BYTES_MAX).await?.value;
    let user = app.auth.create_user(&asked, &caller, &visitor).await?;
    let location = format!("/api/v1/users/{}", user.name);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(User::from(&user))).into_response())
}

/// A user.
#[utoipa::path(
    get, path = "/users/{name}", tag = "accounts",
    params(("name" = String, Path, description = "The user's name, in any case.")),
    responses((status = 200, body = User), Problems),
)]
pub(super) async fn show_user(State(app): State<App>, Segments(name): Segments<String>) -> Result<Json<User>, Refusal> {
    Ok(Json(User::from(&app.auth.user(&name).await?)))
}

/// Changes a user's role or password, disables them, or enables them. Their sessions end, but for the one that asks. To set a password, to
/// give a role above viewer and to enable, a session gives its user's password again.
#[utoipa::path(
    patch, path = "/users/{name}", tag = "accounts",
    params(("name" = String, Path, description = "The user's name, in any case.")),
    request_body(content = UserPatch, content_type = "application/json"),
    responses((status = 200, body = User), Problems),
)]
pub(super) async fn change_user(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Json<User>, Refusal> {
    let asked = app.bodies.json::<UserPatch>(request, CREDENTIALS_BYTES_MAX).await?.value;
    let changed = app.auth.patch_user(&name, &asked, &caller, &visitor).await?;
    Ok(Json(User::from(&changed)))
}

/// Removes a user with their sessions and tokens. What they did stays in the audit log.
#[utoipa::path(
    delete, path = "/users/{name}", tag = "accounts",
    params(("name" = String, Path, description = "The user's name, in any case.")),
    responses((status = 204, description = "They are gone."), Problems),
)]
pub(super) async fn delete_user(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Refusal> {
    let user = app.auth.user(&name).await?;
    app.auth.delete_user(user.id, &caller, &visitor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A user's sessions, the newest first.
#[utoipa::path(
    get, path = "/users/{name}/sessions", tag = "accounts",
    params(("name" = String, Path, description = "The user's name, in any case.")),
    responses((status = 200, body = SessionList), Problems),
)]
pub(super) async fn list_user_sessions(
    State(app): State<App>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Json<SessionList>, Refusal> {
    let user = app.auth.user(&name).await?;
    let own = caller.session().map(|session| session.live.session.handle);
    let rows = app.auth.accounts.sessions(user.id).await?;
    let items = rows.iter().map(|row| Session::new(row, Some(row.handle) == own)).collect();
    Ok(Json(SessionList { items }))
}

/// Ends all sessions of a user.
#[utoipa::path(
    delete, path = "/users/{name}/sessions", tag = "accounts",
    params(("name" = String, Path, description = "The user's name, in any case.")),
    responses((status = 200, body = SessionsEnded), Problems),
)]
pub(super) async fn end_user_sessions(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    Segments(name): Segments<String>,
) -> Result<Json<SessionsEnded>, Refusal> {
    let user = app.auth.user(&name).await?;
    let ended = app.auth.revoke_sessions(user.id, None, &caller, &visitor).await?;
    Ok(Json(SessionsEnded { ended }))
}

/// A user's tokens, the newest first; without themselves.
#[utoipa::path(
    get, path = "/users/{name}/tokens", tag = "accounts",
    params(("name" = String, Path, description = "The user's name, in any case.")),
    responses((status = 200, body = TokenList), Problems),
)]
pub(super) async fn list_user_tokens(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<TokenList>, Refusal> {
    let user = app.auth.user(&name).await?;
    let rows = app.auth.accounts.tokens(user.id).await?;
    Ok(Json(TokenList { items: rows.iter().map(Token::from).collect() }))
}

/// Revokes a token of a user.
#[utoipa::path(
    delete, path = "/users/{name}/tokens/{id}", tag = "accounts",
    params(("name" = String, Path, description = "The user's name, in any case."),
           ("id" = String, Path, description = "The token's id.")),
    responses((status = 204, description = "It is worthless."), Problems),
)]
pub(super) async fn revoke_user_token(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    Segments((name, id)): Segments<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let user = app.auth.user(&name).await?;
    app.auth.revoke_token(id.parse()?, user.id, &caller, &visitor).await?;
    Ok(StatusCode::NO_CONTENT)
}
