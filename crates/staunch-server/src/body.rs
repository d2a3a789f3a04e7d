//! Bodies of requests: bounded in bytes and time, held under a charge, of the right type.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::Body;
use serde::de::{DeserializeOwned, Error};
use serde_path_to_error::Segment;
use staunch_bounded::{Budget, Charge, fault_point};
use zeroize::Zeroizing;

use crate::auth::Caller;
use crate::form::Form;
use crate::problem::{Code, Refusal, escape};
use crate::wire::ProblemDetail;

/// Media types of a workflow's text (RFC 9512, and the names before it).
const YAML: &[&str] = &["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"];
const JSON: &[&str] = &["application/json"];
const FORM: &[&str] = &["application/x-www-form-urlencoded"];

/// Takes in bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    budget: Arc<Budget>,
    time: Duration,
}

/// Something that came out of a body, and what pays for it.
#[derive(Debug)]
pub(crate) struct Held<T> {
    /// It.
    pub(crate) value: T,
    _charge: Charge,
}

impl Bodies {
    /// All bodies together hold at most `bytes_max`; each must arrive within `time`.
    pub(crate) fn new(bytes_max: u64, time: Duration) -> Self {
        Self { budget: Budget::root("http_bodies", bytes_max), time }
    }

    /// The budget they are held on.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// A JSON body; none at all is an object without fields: those that must be there are missed.
    ///
    /// The charge pays for the bytes and lives on with the value: the types of [`crate::wire`] hold strings no longer than
    /// the body, and a bounded number of them.
    pub(crate) async fn json<T>(&self, request: Request, bytes_max: usize) -> Result<Held<T>, Refusal>
    where
        T: DeserializeOwned,
    {
        let typed = media_type(request.headers(), JSON);
        let body = self.read(request, bytes_max).await?;
        if body.value.is_empty() && typed != Some(false) {
            return Ok(Held { value: from_json(b"{}")?, _charge: body._charge });
        }
        if typed != Some(true) {
            return Err(Refusal::new(Code::UnsupportedMediaType).detail("a JSON body is expected"));
        }
        Ok(Held { value: from_json(&body.value)?, _charge: body._charge })
    }

    /// The text of a workflow, of any bytes.
    pub(crate) async fn yaml(&self, request: Request, bytes_max: usize) -> Result<Held<Vec<u8>>, Refusal> {
        if media_type(request.headers(), YAML) != Some(true) {
            return Err(Refusal::new(Code::UnsupportedMediaType).detail("the text of a workflow is expected"));
        }
        let mut body = self.read(request, bytes_max).await?;
        Ok(Held { value: std::mem::take(&mut *body.value), _charge: body._charge })
    }

    /// The fields of a form. The charge pays for its bytes, and decoded they are never more.
    pub(crate) async fn form(&self, request: Request, bytes_max: usize) -> Result<Held<Form>, Refusal> {
        if media_type(request.headers(), FORM) != Some(true) {
            return Err(Refusal::new(Code::UnsupportedMediaType).detail("a form is expected"));
        }
        let body = self.read(request, bytes_max).await?;
        Ok(Held { value: Form::parse(&body.value)?, _charge: body._charge })
    }

    /// The bytes. They may have passwords in them: dropping them overwrites them.
    async fn read(&self, request: Request, bytes_max: usize) -> Result<Held<Zeroizing<Vec<u8>>>, Refusal> {
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or_else(Caller::nobody);
        let body = request.into_body();
        let too_large =
            || Refusal::new(Code::BodyTooLarge).detail(format_args!("at most {bytes_max} bytes are taken here"));
        if body.size_hint().lower() > bytes_max as u64 {
            return Err(too_large());
        }
        let read = tokio::time::timeout(self.time, self.collect(body, bytes_max, &too_large));
        // Whoever was let in when the head came may be out before the body is there. Biased: then it does not count that it is.
        tokio::select! {
            biased;
            () = caller.leaves() => Err(caller.put_out()),
            done = read => done.unwrap_or_else(|_| Err(Refusal::new(Code::BodyTimeout))),
        }
    }

    async fn collect(
        &self,
        mut body: axum::body::Body,
        bytes_max: usize,
        too_large: &impl Fn() -> Refusal,
    ) -> Result<Held<Zeroizing<Vec<u8>>>, Refusal> {
        let busy = |_| Refusal::new(Code::Busy).retry_after(Duration::from_secs(1));
        let mut charge = self.budget.try_reserve(0).map_err(busy)?;
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(frame) = body.frame().await {
            // The client went away or sent nonsense as chunks: nobody reads the answer, hyper closes.
            let frame = frame.map_err(|error| Refusal::new(Code::InvalidBody).detail(error))?;
            fault_point!("server.body").map_err(|fault| Refusal::new(Code::InvalidBody).detail(fault))?;
            let Ok(chunk) = frame.into_data() else { continue };
            let len = bytes.len() + chunk.len();
            if len > bytes_max {
                return Err(too_large());
            }
            if len > bytes.capacity() {
                // Paid for as it arrives, doubling: a client that only announces bytes holds nothing.
                let capacity = len.max(2 * bytes.capacity()).max(1 << 10).min(bytes_max);
                charge.grow((capacity - bytes.capacity()) as u64).map_err(busy)?;
                // Not by growing it in place: what is moved would stay behind.
                let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
                larger.extend_from_slice(&bytes);
                bytes = larger;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Held { value: bytes, _charge: charge })
    }
}

/// Whether the content type is one of these; `None` if there is none.
fn media_type(headers: &HeaderMap, allowed: &[&str]) -> Option<bool> {
    let given = headers.get(CONTENT_TYPE)?.to_str().unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    Some(allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(essence)))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    // Serde would take an array for a struct, field by field.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(refuse(Some(String::new()), &serde_json::Error::custom("expected an object")));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| refuse(Some(pointer(error.path())), error.inner()))?;
    json.end().map_err(|error| refuse(None, &error))?;
    Ok(value)
}

fn refuse(pointer: Option<String>, error: &serde_json::Error) -> Refusal {
    // The text ends in "at line L column C", which stand in fields of their own.
    let text = error.to_string();
    let message = text.split_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
    Refusal::new(Code::InvalidBody).detail(&message).errors(vec![ProblemDetail {
        pointer,
        line: Some(error.line()),
        column: Some(error.column()),
        message,
        help: None,
    }])
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", escape(key)),
            Segment::Enum { variant } => format!("/{}", escape(variant)),
            Segment::Unknown => String::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
