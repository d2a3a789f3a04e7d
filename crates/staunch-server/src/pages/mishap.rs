//! A refusal as a page, for people; programs get the same as problem+json.

use axum::response::Response;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use maud::{Markup, html};

use super::layout::{self, Frame};
use crate::problem::Refusal;

/// Whether whoever asks reads pages: a browser says so, and nothing under `/api` is a page.
pub(crate) fn is_page(path: &str, headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepts.flat_map(|value| value.split(',')).map(|kind| kind.split(';').next().unwrap_or_default());
    !path.starts_with("/api/") && kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

/// The page.
pub(crate) fn page(refusal: &Refusal, request_id: &str) -> Response {
    let code = refusal.code();
    let title = sentence(code.title());
    let login = code.status() == StatusCode::UNAUTHORIZED;
    let body = html! {
        div class="crest" {
            p class="number" aria-hidden="true" { (code.status().as_u16()) }
            h1 { (title) }
        }
        div class="sheet" role="alert" {
            @if let Some(detail) = refusal.says() { p { (sentence(detail)) "." } }
            @match refusal.seconds() {
                Some(seconds) => p { strong { "Try again in " (wait(seconds)) "." } },
                None => p { (marked(code.help())) },
            }
            p {
                @if login { a href="/login" { "Log in" } } @else { a href="/" { "To the home page" } }
            }
        }
        p class="quiet small" { "Problem " code { (code.word()) } ", request " code { (request_id) } }
    };
    let frame = Frame { title: &title, narrow: true, ..Frame::default() };
    refusal.seal(layout::page(code.status(), &frame, &body))
}

/// A text whose names of things stand between backticks.
fn marked(text: &str) -> Markup {
    html! {
        @for (n, part) in text.split('`').enumerate() {
            @if n % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Begins with a capital.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// How long, for people; never less than it is.
pub(super) fn wait(seconds: u64) -> String {
    let of = |n: u64, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    match seconds {
        0..120 => of(seconds, "second"),
        120..7200 => of(seconds.div_ceil(60), "minute"),
        _ => of(seconds.div_ceil(3600), "hour"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn pages_are_for_those_who_ask_for_them() {
        let said = |kinds: &[&'static str]| {
            kinds.iter().map(|kind| (ACCEPT, HeaderValue::from_static(kind))).collect::<HeaderMap>()
        };
        assert!(is_page("/", &said(&["text/html"])));
        assert!(is_page("/nothing", &said(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"])));
        assert!(is_page("/apis", &said(&["application/json", "Text/HTML;q=0.2"])));
        assert!(!is_page("/api/v1/runs", &said(&["text/html"])));
        for kinds in [&[][..], &["*/*"], &["text/*"], &["application/json"], &["text/htmlx"]] {
            assert!(!is_page("/", &said(kinds)), "{kinds:?}");
        }
    }

    #[test]
    fn waits_are_said_in_words_and_never_too_short() {
        let words = [1, 2, 119, 120, 121, 7199, 7200, 7201].map(wait);
        let expected =
            ["1 second", "2 seconds", "119 seconds", "2 minutes", "3 minutes", "120 minutes", "2 hours", "3 hours"];
        assert_eq!(words, expected);
        assert_eq!(marked("a `b<` c").into_string(), "a <code>b&lt;</code> c");
        assert_eq!((sentence("there is"), sentence("")), ("There is".to_owned(), String::new()));
    }
}
