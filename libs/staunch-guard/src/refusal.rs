//! A refusal: why a guard turns a request away, and the answer that says so.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

/// Why a request was turned away. Each guard attaches one to the extensions of the answer it makes, so that a server
/// with a manner of its own can answer in that instead.
///
/// The answer is `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).
///
/// ```
/// use std::time::Duration;
/// use staunch_guard::Refusal;
///
/// let refusal = Refusal::new(http::StatusCode::FORBIDDEN, "csrf_token_missing", "the request has no CSRF token")
///     .retry_after(Duration::from_millis(1500));
/// let response: http::Response<bytes::Bytes> = refusal.response();
/// assert_eq!(response.status(), 403);
/// assert_eq!(response.headers()["retry-after"], "2");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The status it is answered with.
    pub status: StatusCode,
    /// A stable word for programs.
    pub code: &'static str,
    /// What it is, in words.
    pub title: &'static str,
    /// What a client can do about it.
    pub hint: Option<&'static str>,
    /// The problem type, a URI; `about:blank` if there is none.
    pub kind: &'static str,
    /// Whole seconds until asking again makes sense, at least 1.
    pub retry_after: Option<u64>,
    /// Further members of the problem.
    pub members: Map<String, Value>,
}

impl Refusal {
    /// A refusal with this status, stable word and title.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status, code, title, hint: None, kind: "about:blank", retry_after: None, members: Map::new() }
    }

    /// What a client can do about it.
    #[must_use]
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// When to ask again: rounded up to whole seconds, at least one, so that no client comes too early or at once.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(whole_seconds(after));
        self
    }

    /// The answer, with the refusal in its extensions.
    pub fn response<B: From<Bytes>>(self) -> Response<B> {
        let mut problem = json!({
            "type": self.kind,
            "title": self.title,
            "status": self.status.as_u16(),
            "code": self.code,
        });
        if let Some(members) = problem.as_object_mut() {
            if let Some(hint) = self.hint {
                members.insert("hint".to_owned(), hint.into());
            }
            members.extend(self.members.clone());
        }
        let mut response = Response::new(B::from(Bytes::from(problem.to_string())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

fn whole_seconds(after: Duration) -> u64 {
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_whole_and_never_zero() {
        for (after, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (12_000, 12)] {
            assert_eq!(whole_seconds(Duration::from_millis(after)), seconds, "{after} ms");
        }
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    #[test]
    fn the_answer_is_a_problem_and_carries_the_refusal() {
        let refusal = Refusal::new(StatusCode::FORBIDDEN, "cross_site", "another site").hint("open it yourself");
        let response: Response<Bytes> = refusal.clone().response();
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        assert_eq!(
            body,
            json!({"type": "about:blank", "title": "another site", "status": 403, "code": "cross_site", "hint": "open it yourself"})
        );
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.extensions().get::<Refusal>(), Some(&refusal));
        assert_eq!(response.headers().get("retry-after"), None);
    }
}
