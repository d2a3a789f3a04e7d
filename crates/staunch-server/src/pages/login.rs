//! Logging in.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use maud::html;
use serde::Deserialize;

use super::field::{Fault, Field};
use super::layout::{self, Frame};
use super::next;
use super::veil::Veil;
use crate::app::App;
use crate::ask::Asked;
use crate::auth::{Caller, Principal, Visitor};
use crate::bounds::FORM_BYTES_MAX;
use crate::problem::{Code, Refusal};
use crate::wire::Secret;

/// The form, as it is shown.
#[derive(Debug, Default)]
pub(super) struct LoginForm<'a> {
    /// Who was typed.
    pub(super) name: &'a str,
    /// Where to go then.
    pub(super) next: &'a str,
    /// The form's token.
    pub(super) token: Veil<'a>,
    /// What was wrong.
    pub(super) fault: Option<&'a Fault>,
    /// What there is to say before.
    pub(super) note: Option<&'a str>,
}

impl LoginForm<'_> {
    /// The page.
    pub(super) fn page(&self, status: StatusCode) -> Response {
        let name = Field {
            name: "name",
            label: "Name",
            kind: "text",
            value: Veil::new(self.name),
            autocomplete: "username",
            fault: Fault::at(self.fault, "name"),
            length: Some((1, 64)),
            focus: self.name.is_empty(),
            ..Field::default()
        };
        let password = Field {
            name: "password",
            label: "Password",
            kind: "password",
            autocomplete: "current-password",
            fault: Fault::at(self.fault, "password"),
            focus: !self.name.is_empty(),
            ..Field::default()
        };
        let body = html! {
            (layout::crest("Log in", "to this Staunch server"))
            div class="sheet" {
                @if let Some(note) = self.note { div class="note good" role="status" { p { (note) } } }
                (Fault::summary(self.fault))
                form class="fields" method="post" action="/login" {
                    (layout::token_field(self.token))
                    input type="hidden" name="next" value=(self.next);
                    (name.show())
                    (password.show())
                    button type="submit" { "Log in" }
                }
            }
            p class="quiet small" {
                "Forgot the password? An admin can set another one: " code { "staunch user change NAME --password" }
            }
        };
        layout::page(status, &Frame { title: "Log in", narrow: true, ..Frame::default() }, &body)
    }
}

/// What the address of the page may say.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LoginQuery {
    /// Where to go then.
    #[serde(default)]
    next: Option<String>,
}

/// The page; whoever is known already goes on.
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Asked(query): Asked<LoginQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let next = next::local(query.next.as_deref());
    match caller.principal {
        Principal::Nobody => {}
        Principal::Session(_) => return Ok(layout::see_other(next, HeaderMap::new())),
        // Before there is an admin there is nobody to log in as; the home page says what to do.
        Principal::Local(_) | Principal::Token(_) => return Ok(layout::see_other("/", HeaderMap::new())),
    }
    let note = caller.expired.then_some("Your session is over. Please log in again.");
    let shown = LoginForm { next, note, ..LoginForm::default() };
    let mut response = with_form(&app, &headers, |token| LoginForm { token, ..shown }.page(StatusCode::OK))?;
    if caller.expired {
        // What stands for nothing is not looked for again with each request.
        response.headers_mut().append(SET_COOKIE, app.auth.cookies.no_session());
    }
    Ok(response)
}

/// Takes the form.
pub(super) async fn submit(State(app): State<App>, visitor: Visitor, request: Request) -> Result<Response, Refusal> {
    let headers = request.headers().clone();
    let form = app.bodies.form(request, FORM_BYTES_MAX).await?.value;
    let (name, next) = (form.get("name"), next::local(Some(form.get("next"))));
    let password = Secret::new(form.get("password"));
    let checked = app.auth.check_form(&headers, form.get("csrf_token"));
    let begun = match checked {
        Ok(()) => app.auth.login(name, &password, &visitor).await,
        Err(refusal) => Err(refusal),
    };
    match begun {
        Ok(begun) => {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, begun.cookie);
            headers.append(SET_COOKIE, app.auth.cookies.no_form());
            Ok(layout::see_other(next, headers))
        }
        Err(refusal) => {
            let fault = fault(&refusal).ok_or_else(|| refusal.clone())?;
            let status = refusal.code().status();
            let again = |token: Veil<'_>| {
                refusal.seal(LoginForm { name, next, token, fault: Some(&fault), note: None }.page(status))
            };
            with_form(&app, &headers, again)
        }
    }
}

/// A page with a form for those who have no session yet, with the form's cookie.
pub(super) fn with_form(
    app: &App,
    headers: &HeaderMap,
    page: impl FnOnce(Veil<'_>) -> Response,
) -> Result<Response, Refusal> {
    let form = app.auth.form(headers)?;
    let mut response = page(Veil::new(form.token.expose())).into_response();
    if let Some(cookie) = form.cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What is said beside the form; `None` where it makes no sense to fill it in again.
fn fault(refusal: &Refusal) -> Option<Fault> {
    match refusal.code() {
        Code::LoginFailed => Some(Fault::of_form("login_failed", "The name or the password is wrong.")),
        Code::SessionsFull => {
            let why = refusal.says().unwrap_or_default();
            Some(Fault::of_form(
                "sessions_full",
                format!("There is no room for another session ({why}). Log out elsewhere first."),
            ))
        }
        Code::PasswordsBusy => {
            Some(Fault::of_form("passwords_busy", "Too many are logging in just now. Try again in a moment."))
        }
        code => stale(code),
    }
}

/// What is said of a form that was open for too long, or whose cookie is gone.
pub(super) fn stale(code: Code) -> Option<Fault> {
    let is = matches!(
        code,
        Code::CsrfTokenMissing | Code::CsrfTokenMalformed | Code::CsrfTokenExpired | Code::CsrfTokenInvalid
    );
    is.then(|| {
        Fault::of_form(code.word(), "The form was open for too long, or your browser keeps no cookies. Send it again.")
    })
}
