//! How one's own account looks: where one is logged in, the tokens of one's programs, the password.

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use staunch_store::{Role, Scope, SessionHandle, SessionRow, TokenRow};

use super::field::{Fault, Field};
use super::layout::{self, Frame, Who};
use super::moment::moment;
use super::veil::Veil;

/// What the page shows.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    /// Who is logged in.
    pub(super) who: Who<'a>,
    /// Their role: no token may do more.
    pub(super) role: Role,
    /// The session that asks.
    pub(super) session: SessionHandle,
    /// Where they are logged in.
    pub(super) sessions: &'a [SessionRow],
    /// Their tokens.
    pub(super) tokens: &'a [TokenRow],
    /// What happened: a sentence, or a fault.
    pub(super) told: Told<'a>,
}

/// What a form of the page led to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told<'a> {
    /// No form was sent.
    Nothing,
    /// It went well.
    Done(&'a str),
    /// A new token, which is shown this once.
    Token(Veil<'a>),
    /// The password was not changed.
    Password(&'a Fault),
    /// No token was made; its name is kept.
    NoToken(&'a Fault, &'a str),
}

impl Sheet<'_> {
    /// The page.
    pub(super) fn page(self, status: StatusCode) -> Response {
        let body = html! {
            div class="lead" {
                h1 { "Account" }
                p class="quiet" { "You are " strong { (self.who.name) } ", " (self.who.role) "." }
            }
            (self.told.note())
            (self.sessions())
            (self.tokens())
            div class="pair" { (self.new_token()) (self.password()) }
        };
        layout::page(
            status,
            &Frame { title: "Account", here: "/account", who: Some(self.who), ..Frame::default() },
            &body,
        )
    }

    fn sessions(&self) -> Markup {
        html! {
            section class="sheet" aria-labelledby="sessions" {
                div class="sheet-head" {
                    h2 id="sessions" { "Where you are logged in" }
                    @if self.sessions.len() > 1 {
                        (self.button("/account/sessions/revoke", None, "Log out everywhere else", "Log out everywhere else"))
                    }
                }
                table class="wide" {
                    thead {
                        tr {
                            th scope="col" { "Browser" } th scope="col" { "Address" } th scope="col" { "Last seen" }
                            th scope="col" class="last" { span class="quiet" { "Ends" } }
                            th scope="col" { }
                        }
                    }
                    tbody {
                        @for row in self.sessions {
                            tr {
                                td data-title="Browser" { (short(&row.label)) }
                                td data-title="Address" { (row.address) }
                                td data-title="Last seen" { (moment(row.seen_at)) }
                                td data-title="Ends" class="last" { (moment(row.expires_at)) }
                                td data-title="" class="last" {
                                    @if row.handle == self.session { span class="state good" { "this one" } } @else {
                                        @let handle = row.handle.to_string();
                                        (self.button("/account/sessions/revoke", Some(("handle", &handle)), "Log out", &format!("Log out {}", short(&row.label))))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn tokens(&self) -> Markup {
        html! {
            section class="sheet" aria-labelledby="tokens" {
                h2 id="tokens" { "Tokens" }
                @if self.tokens.is_empty() {
                    p class="quiet" {
                        "A token lets a program in: " code { "STAUNCH_TOKEN=stn_... staunch runs" } ". You have none."
                    }
                } @else {
                    table class="wide" {
                        thead {
                            tr {
                                th scope="col" { "Name" } th scope="col" { "Begins with" } th scope="col" { "May" }
                                th scope="col" { "Last used" } th scope="col" { "Expires" } th scope="col" { }
                            }
                        }
                        tbody { @for row in self.tokens { (self.token(row)) } }
                    }
                }
            }
        }
    }

    fn token(&self, row: &TokenRow) -> Markup {
        let id = row.id.to_string();
        let says = format!("Revoke {}", row.name);
        html! {
            tr {
                td data-title="Name" { (row.name) }
                td data-title="Begins with" { code { (row.shown) } }
                td data-title="May" { (word(row.scope)) }
                td data-title="Last used" { @match row.last_used_at { Some(at) => (moment(at)), None => "never" } }
                td data-title="Expires" { @match row.expires_at { Some(at) => (moment(at)), None => "never" } }
                td data-title="" class="last" { (self.button("/account/tokens/revoke", Some(("id", &id)), "Revoke", &says)) }
            }
        }
    }

    fn new_token(&self) -> Markup {
        let (fault, typed) = if let Told::NoToken(fault, name) = self.told { (Some(fault), name) } else { (None, "") };
        let name = Field {
            name: "token_name",
            label: "What it is for",
            kind: "text",
            value: Veil::new(typed),
            autocomplete: "off",
            fault: Fault::at(fault, "token_name"),
            length: Some((1, 64)),
            ..Field::default()
        };
        let scopes = [Scope::Read, Scope::Run, Scope::Admin];
        let most = match self.role {
            Role::Viewer => 1,
            Role::Operator => 2,
            Role::Admin => 3,
        };
        html! {
            section class="sheet" aria-labelledby="new-token" {
                h2 id="new-token" { "Make a token" }
                form class="fields" method="post" action="/account/tokens" {
                    (layout::token_field(self.who.token))
                    (name.show())
                    div class="row" {
                        div class="field" {
                            label for="scope" { "It may" }
                            select id="scope" name="scope" {
                                @for scope in &scopes[..most] { option value=(word(*scope)) { (deeds(*scope)) } }
                            }
                        }
                        div class="field" {
                            label for="days" { "For" }
                            select id="days" name="days" {
                                @for days in [30, 90, 365] { option value=(days) selected[days == 90] { (days) " days" } }
                                option value="never" { "ever" }
                            }
                        }
                    }
                    (password("token_password", "Your password", "current-password", Fault::at(fault, "token_password")))
                    button type="submit" { "Make a token" }
                }
            }
        }
    }

    fn password(&self) -> Markup {
        let fault = if let Told::Password(fault) = self.told { Some(fault) } else { None };
        html! {
            section class="sheet" aria-labelledby="new-password" {
                h2 id="new-password" { "Change the password" }
                form class="fields" method="post" action="/account/password" {
                    (layout::token_field(self.who.token))
                    // For password keepers, which want to know whose password it is.
                    input type="text" name="username" value=(self.who.name) autocomplete="username" hidden readonly;
                    (password("current_password", "Your password", "current-password", Fault::at(fault, "current_password")))
                    (password("new_password", "The new one", "new-password", Fault::at(fault, "new_password")))
                    p class="quiet small" { "At least 12 characters. You are logged out everywhere else." }
                    button type="submit" { "Change the password" }
                }
            }
        }
    }

    /// A form that is one button. What is seen may be short; what is said is not.
    fn button(&self, action: &str, field: Option<(&str, &str)>, seen: &str, said: &str) -> Markup {
        html! {
            form method="post" action=(action) {
                (layout::token_field(self.who.token))
                @if let Some((name, value)) = field { input type="hidden" name=(name) value=(value); }
                button class="end" type="submit" aria-label=[(seen != said).then_some(said)] { (seen) }
            }
        }
    }
}

impl Told<'_> {
    fn note(&self) -> Markup {
        html! {
            @match self {
                Self::Nothing => {}
                Self::Done(text) => div class="note good" role="status" { strong { "Done." } p { (text) } },
                Self::Token(token) => div class="note good" role="status" {
                    strong { "This is the token. It is shown this once." }
                    code class="secret" { (token) }
                    p { "Keep it where only the program that uses it can read it." }
                },
                Self::Password(fault) | Self::NoToken(fault, _) => (Fault::summary(Some(fault))),
            }
        }
    }
}

fn password(name: &str, label: &str, autocomplete: &str, fault: Option<&str>) -> Markup {
    let length = (autocomplete == "new-password").then_some((12, 256));
    Field { name, label, kind: "password", autocomplete, fault, length, ..Field::default() }.show()
}

/// A scope's word, in forms and in the API.
pub(super) fn word(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Run => "run",
        Scope::Admin => "admin",
    }
}

fn deeds(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Run => "read and run",
        Scope::Admin => "do all you may",
    }
}

/// A browser's name out of what it sent; browsers send much.
fn short(label: &str) -> String {
    let names =
        [("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")];
    let systems =
        [("Android", "Android"), ("iPhone", "iPhone"), ("Windows", "Windows"), ("Mac OS", "macOS"), ("Linux", "Linux")];
    let first =
        |table: &[(&str, &'static str)]| table.iter().find(|(mark, _)| label.contains(mark)).map(|(_, name)| *name);
    match (first(&names), first(&systems)) {
        (Some(name), Some(system)) => format!("{name} on {system}"),
        (Some(name), None) => name.to_owned(),
        _ if label.is_empty() => "unknown".to_owned(),
        _ => label.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn browsers_are_called_by_their_names() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/148.0.0.0 Safari/537.36";
        assert_eq!(short(chrome), "Chrome on Linux");
        assert_eq!(short("Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/140.0"), "Firefox on Windows");
        assert_eq!((short("curl/8"), short("")), ("curl/8".to_owned(), "unknown".to_owned()));
    }
}
