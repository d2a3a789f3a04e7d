//! One's own account: what its forms do.

use axum::extract::{Request, State};
use axum::response::Response;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use staunch_store::{Scope, SessionHandle};

use super::field::Fault;
use super::layout;
use super::sheet::{Sheet, Told, word};
use super::veil::Veil;
use super::who::Names;
use crate::app::App;
use crate::ask::Asked;
use crate::auth::{Caller, SessionCaller, Visitor};
use crate::bounds::FORM_BYTES_MAX;
use crate::form::Form;
use crate::problem::{Code, Refusal};
use crate::wire::{NewToken, Secret};

/// What the address of the page may say.
#[derive(Debug, Default, Deserialize)]
pub(super) struct AccountQuery {
    /// What was done just now.
    #[serde(default)]
    done: Option<Deed>,
}

/// What was done just now.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Deed {
    Password,
    Sessions,
    Token,
}

impl Deed {
    /// The page that says so.
    fn place(self) -> &'static str {
        match self {
            Self::Password => "/account?done=password",
            Self::Sessions => "/account?done=sessions",
            Self::Token => "/account?done=token",
        }
    }

    fn says(self) -> &'static str {
        match self {
            Self::Password => "The password is changed. You are logged out everywhere else.",
            Self::Sessions => "You are logged out there.",
            Self::Token => "The token is revoked.",
        }
    }
}

/// The page.
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Asked(query): Asked<AccountQuery>,
) -> Result<Response, Refusal> {
    let told = query.done.map_or(Told::Nothing, |deed| Told::Done(deed.says()));
    page(&app, &caller, told, StatusCode::OK).await
}

/// Takes the form that sets another password.
pub(super) async fn change_password(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Refusal> {
    let form = app.bodies.form(request, FORM_BYTES_MAX).await?.value;
    session(&caller)?;
    let (current, new) = (Secret::new(form.get("current_password")), Secret::new(form.get("new_password")));
    match app.auth.change_password(&caller, Some(&current), &new, &visitor).await {
        Ok(cookie) => {
            let headers = cookie.into_iter().map(|cookie| (SET_COOKIE, cookie)).collect();
            Ok(layout::see_other(Deed::Password.place(), headers))
        }
        Err(refusal) => {
            let fault = match refusal.code() {
                Code::WrongPassword => Fault::of_field("current_password", "wrong_password", WRONG),
                Code::InvalidPassword => Fault::of_field("new_password", "invalid_password", LENGTH),
                _ => return Err(refusal),
            };
            Ok(refusal.seal(page(&app, &caller, Told::Password(&fault), refusal.code().status()).await?))
        }
    }
}

/// Takes the form that ends one other session, or all others.
pub(super) async fn revoke_sessions(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Refusal> {
    let form = app.bodies.form(request, FORM_BYTES_MAX).await?.value;
    let live = &session(&caller)?.live;
    match form.get("handle") {
        "" => {
            app.auth.revoke_sessions(live.user.id, Some(live.session.handle), &caller, &visitor).await?;
        }
        handle => {
            match app.auth.revoke_session(live.user.id, handle.parse::<SessionHandle>()?, &caller, &visitor).await {
                Ok(()) => {}
                // It has ended meanwhile: that is what was wanted.
                Err(refusal) if refusal.code() == Code::UnknownSession => {}
                Err(refusal) => return Err(refusal),
            }
        }
    }
    Ok(layout::see_other(Deed::Sessions.place(), HeaderMap::new()))
}

/// Takes the form that makes a token.
pub(super) async fn create_token(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Refusal> {
    let form = app.bodies.form(request, FORM_BYTES_MAX).await?.value;
    session(&caller)?;
    match app.auth.create_token(&caller, asked(&form)?, &visitor).await {
        // No redirect: the token is shown this once, and nothing keeps it for a second page.
        Ok((token, _)) => page(&app, &caller, Told::Token(Veil::new(token.expose())), StatusCode::CREATED).await,
        Err(refusal) => {
            let fault = match refusal.code() {
                Code::WrongPassword => Fault::of_field("token_password", "wrong_password", WRONG),
                Code::InvalidBody => {
                    Fault::of_field("token_name", "invalid_body", "Say in 1 to 128 characters what it is for.")
                }
                Code::TokensFull => {
                    Fault::of_form("tokens_full", "You have as many tokens as one may have. Revoke one first.")
                }
                _ => return Err(refusal),
            };
            let told = Told::NoToken(&fault, form.get("token_name"));
            Ok(refusal.seal(page(&app, &caller, told, refusal.code().status()).await?))
        }
    }
}

/// Takes the form that revokes a token.
pub(super) async fn revoke_token(
    State(app): State<App>,
    caller: Caller,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Refusal> {
    let form = app.bodies.form(request, FORM_BYTES_MAX).await?.value;
    let user = session(&caller)?.live.user.id;
    match app.auth.revoke_token(form.get("id").parse()?, user, &caller, &visitor).await {
        Ok(()) => {}
        Err(refusal) if refusal.code() == Code::UnknownToken => {}
        Err(refusal) => return Err(refusal),
    }
    Ok(layout::see_other(Deed::Token.place(), HeaderMap::new()))
}

const WRONG: &str = "This is not your password. There are three tries an hour.";
const LENGTH: &str = "The password must have 12 to 256 characters.";

/// The caller's session: the page is about what a token or this machine has not.
fn session(caller: &Caller) -> Result<&SessionCaller, Refusal> {
    caller.session().ok_or_else(|| Refusal::new(Code::NoSession))
}

fn asked(form: &Form) -> Result<NewToken, Refusal> {
    let invalid = || Refusal::new(Code::InvalidBody).detail("a choice of the form is none of those it offers");
    let scopes = [Scope::Read, Scope::Run, Scope::Admin];
    let scope = scopes.into_iter().find(|scope| word(*scope) == form.get("scope")).ok_or_else(invalid)?;
    let expires_in_days = match form.get("days") {
        "never" => None,
        days => Some(days.parse().map_err(|_| invalid())?),
    };
    Ok(NewToken {
        name: form.get("token_name").trim().to_owned(),
        scope: scope.into(),
        expires_in_days,
        current_password: Some(Secret::new(form.get("token_password"))),
    })
}

async fn page(app: &App, caller: &Caller, told: Told<'_>, status: StatusCode) -> Result<Response, Refusal> {
    let live = &session(caller)?.live;
    let names = Names::of(app, caller)?.ok_or_else(|| Refusal::new(Code::NoSession))?;
    let sessions = app.auth.accounts.sessions(live.user.id).await?;
    let tokens = app.auth.accounts.tokens(live.user.id).await?;
    let sheet = Sheet {
        who: names.who(),
        role: live.user.role,
        session: live.session.handle,
        sessions: &sessions,
        tokens: &tokens,
        told,
    };
    Ok(sheet.page(status))
}
