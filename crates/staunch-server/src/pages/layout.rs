//! What all pages have around them: the head, the bar with who is logged in, the foot; and the headers they leave with.

use axum::response::{Html, IntoResponse, Response};
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{HeaderMap, StatusCode};
use maud::{DOCTYPE, Markup, html};

use super::asset::{self, Asset};
use super::veil::Veil;

/// What stands around a page's own part.
#[derive(Debug, Default)]
pub(super) struct Frame<'a> {
    /// What it is called in the browser's list of pages.
    pub(super) title: &'a str,
    /// The path of the bar's link that leads here.
    pub(super) here: &'a str,
    /// Who is logged in.
    pub(super) who: Option<Who<'a>>,
    /// A module of its own.
    pub(super) module: Option<&'static Asset>,
    /// The page is one form, in the middle.
    pub(super) narrow: bool,
}

/// Who is logged in, with a browser.
#[derive(Debug)]
pub(super) struct Who<'a> {
    /// Their name.
    pub(super) name: &'a str,
    /// Their role, in a word.
    pub(super) role: &'a str,
    /// The session's token, for the form that logs out.
    pub(super) token: Veil<'a>,
}

/// A whole page. It is never stored: it says who is logged in, and its forms hold tokens.
pub(super) fn page(status: StatusCode, frame: &Frame<'_>, body: &Markup) -> Response {
    let text = document(frame, body).into_string();
    (status, [(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Html(text)).into_response()
}

/// Elsewhere, after a form was taken: the browser asks for the place with GET, so that a reload sends nothing again.
pub(super) fn see_other(place: &str, headers: HeaderMap) -> Response {
    let no_store = [(CACHE_CONTROL, "no-store"), (http::header::LOCATION, place)];
    (StatusCode::SEE_OTHER, no_store, headers).into_response()
}

fn document(frame: &Frame<'_>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (frame.title) " · Staunch" }
                link rel="icon" type="image/svg+xml" href=(asset::MARK.path());
                link rel="stylesheet" href=(asset::STYLE.path());
                script type="module" src=(asset::PAGE.path()) {}
                @if let Some(module) = frame.module {
                    script type="module" src=(module.path()) {}
                }
            }
            body class=[frame.narrow.then_some("narrow")] {
                a class="skip" href="#main" { "Skip to the page" }
                @if !frame.narrow { (bar(frame)) }
                main id="main" tabindex="-1" { (body) }
                footer {
                    "Staunch " (env!("CARGO_PKG_VERSION")) ", a workflow server in which nothing leaks."
                }
            }
        }
    }
}

fn bar(frame: &Frame<'_>) -> Markup {
    let link = |path: &str, text: &str| {
        html! { a href=(path) aria-current=[(frame.here == path).then_some("page")] { (text) } }
    };
    html! {
        header class="bar" {
            div class="bar-row" {
                a class="brand" href="/" {
                    img src=(asset::MARK.path()) alt="" width="28" height="28";
                    "Staunch"
                }
                @if let Some(who) = &frame.who {
                    nav aria-label="Pages" { (link("/", "Home")) (link("/memory", "Memory")) (link("/account", "Account")) }
                    div class="who" {
                        span class="who-name" { strong { (who.name) } " · " (who.role) }
                        form method="post" action="/logout" {
                            (token_field(who.token))
                            button class="plain" type="submit" { "Log out" }
                        }
                    }
                }
            }
        }
    }
}

/// The mark above a page that is one form.
pub(super) fn crest(title: &str, under: &str) -> Markup {
    html! {
        div class="crest" {
            img src=(asset::MARK.path()) alt="Staunch" width="52" height="52";
            div class="lead" {
                h1 { (title) }
                p class="quiet" { (under) }
            }
        }
    }
}

/// The field that says that a form is ours.
pub(super) fn token_field(token: Veil<'_>) -> Markup {
    html! { input type="hidden" name="csrf_token" value=(token); }
}
