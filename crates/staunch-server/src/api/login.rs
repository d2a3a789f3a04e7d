//! Coming and going: set-up, login, logout.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderName, StatusCode};

use super::openapi::Problems;
use crate::app::App;
use crate::auth::{Begun, Caller, Visitor};
use crate::bounds::CREDENTIALS_BYTES_MAX;
use crate::problem::Refusal;
use crate::wire::{LoggedIn, LoginRequest, SetupRequest, User};

/// Makes the first admin with the ticket of the set-up link, and logs them in.
#[utoipa::path(
    post, path = "/setup", tag = "accounts",
    request_body(content = SetupRequest, content_type = "application/json"),
    responses((status = 201, description = "The admin is there; the cookie is set.", body = LoggedIn), Problems),
)]
pub(super) async fn set_up(State(app): State<App>, visitor: Visitor, request: Request) -> Result<Response, Refusal> {
    let asked = app.bodies.json::<SetupRequest>(request, CREDENTIALS_BYTES_MAX).await?.value;
    let begun = app.auth.redeem_setup(&asked.ticket, &asked.name, &asked.password, &visitor).await?;
    Ok(logged_in(StatusCode::CREATED, begun))
}

/// Begins a session: its id is in the cookie, a CSRF token in the answer.
#[utoipa::path(
    post, path = "/login", tag = "accounts",
    request_body(content = LoginRequest, content_type = "application/json"),
    responses((status = 200, description = "The cookie is set.", body = LoggedIn), Problems),
)]
pub(super) async fn log_in(State(app): State<App>, visitor: Visitor, request: Request) -> Result<Response, Refusal> {
    let asked = app.bodies.json::<LoginRequest>(request, CREDENTIALS_BYTES_MAX).await?.value;
    let begun = app.auth.login(&asked.name, &asked.password, &visitor).await?;
    Ok(logged_in(StatusCode::OK, begun))
}

/// Ends the caller's session.
#[utoipa::path(
    post, path = "/logout", tag = "accounts",
    responses((status = 204, description = "It is over; the cookie is taken away."), Problems),
)]
pub(super) async fn log_out(State(app): State<App>, caller: Caller, visitor: Visitor) -> Result<Response, Refusal> {
    app.auth.logout(&caller, &visitor).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.append(SET_COOKIE, app.auth.cookies.no_session());
    // Not "cookies": that would clear those of all servers of this host, on every port and for every sibling domain.
    headers.insert(HeaderName::from_static("clear-site-data"), http::HeaderValue::from_static("\"storage\""));
    Ok(response)
}

fn logged_in(status: StatusCode, begun: Begun) -> Response {
    let body = LoggedIn {
        user: User::from(&begun.live.user),
        csrf_token: begun.csrf_token,
        expires_at: begun.live.session.ends_at.rfc3339(),
    };
    let headers = [(SET_COOKIE, begun.cookie), (CACHE_CONTROL, http::HeaderValue::from_static("no-store"))];
    (status, headers, Json(body)).into_response()
}
