//! A refusal: what is carried from where a request fails to where it is answered.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::code::Code;
use crate::wire::{Problem, ProblemDetail};

/// When to ask again if nothing else says so. Short enough for what passes, such as forms that are being read; and who asks for a session
/// while there are too many loses nothing by it.
const AGAIN_SECONDS: u64 = 10;

/// Why a request is refused. The gate turns it into the answer, because only the gate knows the request's id and path.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    detail: Option<String>,
    errors: Vec<ProblemDetail>,
    retry_after: Option<u64>,
    secret: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A refusal of this kind.
    pub(crate) fn new(code: Code) -> Self {
        Self(Box::new(Inner {
            code,
            detail: None,
            errors: Vec::new(),
            retry_after: None,
            secret: None,
            headers: Vec::new(),
        }))
    }

    /// What is wrong this time. The client reads it.
    pub(crate) fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.0.detail = Some(detail.to_string());
        self
    }

    /// What is wrong, place by place.
    pub(crate) fn errors(mut self, errors: Vec<ProblemDetail>) -> Self {
        self.0.errors = errors;
        self
    }

    /// When to ask again: rounded up to whole seconds, at least one.
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(u64::try_from(after.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1));
        self
    }

    /// Its answer has this header too.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Its answer has these headers too.
    pub(crate) fn headers(mut self, headers: HeaderMap) -> Self {
        let named = headers.into_iter().scan(None, |last, (name, value)| {
            // A map gives a name once and then only values.
            *last = name.or_else(|| last.clone());
            last.clone().map(|name| (name, value))
        });
        self.0.headers.extend(named);
        self
    }

    /// A refusal of a guard, in our manner.
    pub(crate) fn of_guard(refusal: &staunch_guard::Refusal) -> Self {
        let Some(code) = Code::of(refusal.code) else {
            return Self::internal(format_args!("a guard refuses by an unknown word: {}", refusal.code));
        };
        let mut ours = Self::new(code);
        if let Some(origin) = refusal.members.get("origin") {
            // What it saw, so that who set up a proxy finds what to change.
            ours = ours.detail(format_args!("the origin is {origin}"));
        }
        ours.0.retry_after = refusal.retry_after;
        ours
    }

    /// A failure of ours: the log gets the text, the client only the request's id.
    pub(crate) fn internal(why: impl fmt::Display) -> Self {
        Self::new(Code::Internal).keep(why)
    }

    /// What only the log may hear.
    pub(super) fn keep(mut self, secret: impl fmt::Display) -> Self {
        self.0.secret = Some(secret.to_string());
        self
    }

    /// Its kind.
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// What is wrong this time.
    pub(crate) fn says(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// When to ask again, in whole seconds.
    pub(crate) fn seconds(&self) -> Option<u64> {
        self.0.retry_after
    }

    /// What is wrong, place by place.
    #[cfg(test)]
    pub(crate) fn places(&self) -> &[ProblemDetail] {
        &self.0.errors
    }

    /// What only the log may hear.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.0.secret.as_deref()
    }

    /// The answer.
    pub(crate) fn render(self, request_id: &str, path: &str) -> Response {
        let Inner { code, detail, errors, retry_after, secret: _, headers: own } = *self.0;
        let problem = Problem {
            kind: format!("/problems/{}", code.word()),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            detail,
            instance: Some(path.to_owned()),
            code: code.word().to_owned(),
            request_id: Some(request_id.to_owned()),
            errors,
        };
        // A struct of strings and numbers always serialises; an empty body beats a panic if that ever changes.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (code.status(), Body::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        sealed(code, retry_after, own, response)
    }

    /// An answer with what the refusal says in headers, for one that is shown as something else than a problem.
    pub(crate) fn seal(&self, response: Response) -> Response {
        sealed(self.0.code, self.0.retry_after, self.0.headers.clone(), response)
    }
}

fn sealed(
    code: Code,
    retry_after: Option<u64>,
    own: Vec<(HeaderName, HeaderValue)>,
    mut response: Response,
) -> Response {
    let headers = response.headers_mut();
    // 503 is always for a while; where nobody knows for how long, so long.
    let again = (code.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(AGAIN_SECONDS);
    if let Some(seconds) = retry_after.or(again) {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if code.status() == StatusCode::UNAUTHORIZED {
        // RFC 9110 section 15.5.2: a 401 says how to be known. RFC 6750 section 3.1 has the error's word.
        let challenge = if code == Code::InvalidToken { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    for (name, value) in own {
        headers.append(name, value);
    }
    if code.leaves_body_unread() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl IntoResponse for Refusal {
    /// Only a carrier: [`Refusal::render`] makes the body.
    fn into_response(self) -> Response {
        let mut response = self.code().status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
