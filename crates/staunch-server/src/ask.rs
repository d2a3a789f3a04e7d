//! What a request's target says: path segments and query parameters, with problems instead of plain-text refusals.

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;
use staunch_store::RunId;

use crate::problem::{Code, Refusal};

/// The variable segments of the path.
#[derive(Debug)]
pub(crate) struct Segments<T>(pub(crate) T);

/// The query parameters.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            // Percent-encoded bytes that are no UTF-8: no path of ours has such.
            Err(_) => Err(Refusal::new(Code::NotFound)),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(Refusal::new(Code::InvalidQuery).detail(text))
            }
        }
    }
}

/// A run's id out of a path or topic.
pub(crate) fn run_id(text: &str) -> Result<RunId, Refusal> {
    Ok(text.parse::<RunId>()?)
}

/// A number within bounds, or what it is if nobody says.
pub(crate) fn within(name: &str, given: Option<u32>, default: u32, max: u32) -> Result<u32, Refusal> {
    match given.unwrap_or(default) {
        n if (1..=max).contains(&n) => Ok(n),
        _ => Err(Refusal::new(Code::InvalidQuery).detail(format_args!("{name} must be from 1 to {max}"))),
    }
}

/// Percent-encodes a query value (RFC 3986 §2.3: unreserved characters stay).
pub(crate) fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
