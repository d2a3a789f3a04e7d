//! The caller: who they are, their password, their sessions.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::Problems;
use crate::app::App;
use crate::ask::{Asked, Segments};
use crate::auth::{Caller, Principal, Visitor};
use crate::bounds::CREDENTIALS_BYTES_MAX;
use crate::problem::{Code, Refusal};
use crate::wire::{CsrfToken, KnownBy, Me, PasswordChange, Session, SessionList, SessionsEnded, Token};

/// Who calls, and how they are known.
#[utoipa::path(get, path = "/me", tag = "accounts", responses((status = 200, body = Me), Problems))]
pub(super) async fn show_me(caller: Caller) -> Result<Json<Me>, Refusal> {
    let (via, session, token) = match &caller.principal {
        Principal::Nobody => return Err(Refusal::new(Code::Unauthenticated)),
        Principal::Local(_) => (KnownBy::Local, None, None),
        Principal::Session(session) => (KnownBy::Session, Some(Session::new(&session.live.session, true)), None),
        Principal::Token(token) => (KnownBy::Token, None, Some(Token::from(&token.live.token))),
    };
    let role = caller.role().ok_or_else(|| Refusal::new(Code::Unauthenticated))?;
    let name = caller.user().map_or_else(|| "local".to_owned(), |user| user.name.clone());
    Ok(Json(Me { name, role: role.into(), via, session, token }))
}

/// Parameters of a CSRF token.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CsrfQuery {
    /// `1` for a new secret. The oldest of five then goes.
    #[serde(default)]
    fresh: Option<u8>,
}

/// A CSRF token for the caller's session. All that were given out stay good for at least half a day, but for the oldest of more than five
/// fresh ones.
#[utoipa::path(get, path = "/csrf", tag = "accounts", params(CsrfQuery), responses((status = 200, body = CsrfToken), Problems))]
pub(super) async fn show_csrf_token(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<CsrfQuery>,
) -> Result<Json<CsrfToken>, Refusal> {
    let token = app.auth.csrf_token(&caller, asked.fresh == Some(1))?;
    Ok(Json(CsrfToken { token }))
}

/// Sets the caller's password. All their other sessions end; this one gets a new cookie.
#[utoipa::path(
    put, path = "/me/password", tag = "accounts",
    request_body(content = PasswordChange, content_type = "application/json"),
    responses((status = 204, description = "It is set."), Problems),
)]
pub(super) async fn change_password(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Refusal> {
    let asked = app.bodies.json::<PasswordChange>(request, CREDENTIALS_BYTES_MAX).await?.value;
    let (current, new) = (asked.current_password.as_ref(), &asked.new_password);
    let cookie = app.auth.change_password(&caller, current, new, &visitor).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The caller's sessions, the newest first.
#[utoipa::path(get, path = "/me/sessions", tag = "accounts", responses((status = 200, body = SessionList), Problems))]
pub(super) async fn list_my_sessions(State(app): State<App>, caller: Caller) -> Result<Json<SessionList>, Refusal> {
    let user = caller.user_id().ok_or_else(|| Refusal::new(Code::NoSession))?;
    let own = caller.session().map(|session| session.live.session.handle);
    let rows = app.auth.accounts.sessions(user).await?;
    let items = rows.iter().map(|row| Session::new(row, Some(row.handle) == own)).collect();
    Ok(Json(SessionList { items }))
}

/// Ends all sessions of the caller but the one that asks.
#[utoipa::path(delete, path = "/me/sessions", tag = "accounts", responses((status = 200, body = SessionsEnded), Problems))]
pub(super) async fn end_my_sessions(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
) -> Result<Json<SessionsEnded>, Refusal> {
    let user = caller.user_id().ok_or_else(|| Refusal::new(Code::NoSession))?;
    let keep = caller.session().map(|session| session.live.session.handle);
    let ended = app.auth.revoke_sessions(user, keep, &caller, &visitor).await?;
    Ok(Json(SessionsEnded { ended }))
}

/// Ends one session of the caller.
#[utoipa::path(
    delete, path = "/me/sessions/{handle}", tag = "accounts",
    params(("handle" = String, Path, description = "The session's handle.")),
    responses((status = 204, description = "It is over."), Problems),
)]
pub(super) async fn end_my_session(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    Segments(handle): Segments<String>,
) -> Result<StatusCode, Refusal> {
    let user = caller.user_id().ok_or_else(|| Refusal::new(Code::NoSession))?;
    app.auth.revoke_session(user, handle.parse()?, &caller, &visitor).await?;
    Ok(StatusCode::NO_CONTENT)
}
