//! Setting the server up: its first admin, made with the link that the server printed when it started.

use axum::extract::{Request, State};
use axum::response::Response;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use maud::html;

use super::asset;
use super::field::{Fault, Field};
use super::layout::{self, Frame};
use super::login::{stale, with_form};
use super::veil::Veil;
use crate::app::App;
use crate::auth::Visitor;
use crate::bounds::FORM_BYTES_MAX;
use crate::problem::{Code, Refusal};
use crate::wire::Secret;

/// The form, as it is shown.
#[derive(Debug, Default)]
pub(super) struct SetupForm<'a> {
    /// The ticket that was typed or came by the link.
    pub(super) ticket: Veil<'a>,
    /// The name that was typed.
    pub(super) name: &'a str,
    /// The form's token.
    pub(super) token: Veil<'a>,
    /// What was wrong.
    pub(super) fault: Option<&'a Fault>,
}

impl SetupForm<'_> {
    /// The page.
    pub(super) fn page(&self, status: StatusCode) -> Response {
        let ticket = Field {
            name: "ticket",
            label: "Set-up ticket",
            kind: "text",
            value: self.ticket,
            autocomplete: "off",
            hint: Some(
                "What follows the # in the link that the server printed when it started. It is good for an hour, and once.",
            ),
            fault: Fault::at(self.fault, "ticket"),
            class: Some("ticket"),
            focus: self.ticket.is_empty(),
            ..Field::default()
        };
        let name = Field {
            name: "name",
            label: "Your name here",
            kind: "text",
            value: Veil::new(self.name),
            autocomplete: "username",
            hint: Some("Up to 64 of: letters a to z, digits, and . _ @ -"),
            fault: Fault::at(self.fault, "name"),
            length: Some((1, 64)),
            ..Field::default()
        };
        let password = Field {
            name: "password",
            label: "Password",
            kind: "password",
            autocomplete: "new-password",
            hint: Some("At least 12 characters. A few words in a row are good; no rule says which characters."),
            fault: Fault::at(self.fault, "password"),
            length: Some((12, 256)),
            focus: !self.ticket.is_empty(),
            ..Field::default()
        };
        let body = html! {
            (layout::crest("Set up this server", "Make its first admin. From then on everybody must log in."))
            div class="sheet" {
                (Fault::summary(self.fault))
                form class="fields" method="post" action="/setup" {
                    (layout::token_field(self.token))
                    (ticket.show())
                    (name.show())
                    (password.show())
                    button type="submit" { "Make the admin" }
                }
            }
        };
        let module = Some(&asset::SETUP);
        layout::page(status, &Frame { title: "Set up", narrow: true, module, ..Frame::default() }, &body)
    }
}

/// There is an admin: the link is dead.
fn done() -> Response {
    let body = html! {
        (layout::crest("This server is set up", "The set-up link was good once, and is dead now."))
        div class="sheet" {
            p { "Log in with the name and the password of the admin that was made, or ask an admin for an account." }
            p { a href="/login" { "Log in" } }
        }
    };
    layout::page(StatusCode::NOT_FOUND, &Frame { title: "Set up", narrow: true, ..Frame::default() }, &body)
}

/// The page, as long as there is no admin.
pub(super) async fn show(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refusal> {
    if app.auth.accounts.has_admin().await? {
        return Ok(done());
    }
    with_form(&app, &headers, |token| SetupForm { token, ..SetupForm::default() }.page(StatusCode::OK))
}

/// Takes the form.
pub(super) async fn submit(State(app): State<App>, visitor: Visitor, request: Request) -> Result<Response, Refusal> {
    let headers = request.headers().clone();
    let form = app.bodies.form(request, FORM_BYTES_MAX).await?.value;
    // A ticket that was pasted may have a line break behind it, or the whole link before it.
    let ticket = form.get("ticket").trim();
    let ticket = ticket.rsplit_once('#').map_or(ticket, |(_, fragment)| fragment);
    let (name, password) = (form.get("name"), Secret::new(form.get("password")));
    let checked = app.auth.check_form(&headers, form.get("csrf_token"));
    let begun = match checked {
        Ok(()) => app.auth.redeem_setup(&Secret::new(ticket), name, &password, &visitor).await,
        Err(refusal) => Err(refusal),
    };
    match begun {
        Ok(begun) => {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, begun.cookie);
            headers.append(SET_COOKIE, app.auth.cookies.no_form());
            Ok(layout::see_other("/", headers))
        }
        Err(refusal) => {
            let fault = fault(refusal.code()).ok_or_else(|| refusal.clone())?;
            let status = refusal.code().status();
            let ticket = Veil::new(ticket);
            let again =
                |token: Veil<'_>| refusal.seal(SetupForm { ticket, name, token, fault: Some(&fault) }.page(status));
            with_form(&app, &headers, again)
        }
    }
}

/// What is said beside the form; `None` where it makes no sense to fill it in again.
fn fault(code: Code) -> Option<Fault> {
    let of = |field, says: &str| Some(Fault::of_field(field, code.word(), says));
    match code {
        Code::SetupRefused => of(
            "ticket",
            "This ticket is not good: it is mistyped, used, or older than an hour. A restart of the server prints a new one.",
        ),
        Code::InvalidName => of(
            "name",
            "The name must be 1 to 64 of: letters a to z, digits, and . _ @ - and begin with one of the first two.",
        ),
        Code::InvalidPassword => of("password", "The password must have 12 to 256 characters."),
        Code::UserExists => of("name", "Somebody has this name already."),
        code => stale(code),
    }
}
