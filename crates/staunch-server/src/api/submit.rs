//! What changes something: run a workflow, run a run again, cancel one.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};
use staunch_engine::{Rerun, Submission, Target};
use staunch_store::{IdempotencyKey, Submitted};

use super::openapi::Problems;
use crate::app::App;
use crate::ask::{Segments, run_id};
use crate::auth::{Caller, Note, Visitor};
use crate::bounds::JSON_BYTES_MAX;
use crate::problem::{Code, Refusal};
use crate::steps;
use crate::wire::{Accepted, CancelRequest, RerunRequest, Run, SubmitRequest, Which};

/// The longest Idempotency-Key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// Runs a workflow. The run is on disk when the answer leaves.
#[utoipa::path(
    post, path = "/workflows/{name}/runs", tag = "runs",
    params(("name" = String, Path, description = "The workflow's name."),
           ("Idempotency-Key" = Option<String>, Header,
            description = "Any text up to 255 bytes: the same request with the same key is accepted once, within 24 hours.")),
    request_body(content = Option<SubmitRequest>, content_type = "application/json"),
    responses((status = 201, description = "Accepted.", body = Accepted,
               headers(("Location" = String, description = "The run."),
                       ("Idempotency-Replayed" = String, description = "`true` if the key was seen before."))),
              Problems),
)]
pub(super) async fn submit_run(
    State(app): State<App>,
    Segments(name): Segments<String>,
    (caller, visitor): (Caller, Visitor),
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Refusal> {
    let asked = app.bodies.json::<SubmitRequest>(request, json_max(&app)).await?;
    let key = idempotency_key(&headers, &["submit", &name], &asked.value)?;
    let engine = app.engine.clone();
    let submit = async move {
        let target = Target::Name(name.clone());
        let submission = Submission { target, inputs: asked.value.inputs.clone(), trigger: "api".to_owned(), key };
        let submitted = engine.submit(submission).await?;
        // Not before: it pays for the inputs.
        drop(asked);
        Ok(noted("run.submitted", submitted, name))
    };
    Ok(accepted(&app.auth.noted(&caller, &visitor, submit).await?))
}

/// Runs steps of a run that is over again, as a new run of the same text and inputs.
#[utoipa::path(
    post, path = "/runs/{id}/rerun", tag = "runs",
    params(("id" = String, Path, description = "The run's id."),
           ("Idempotency-Key" = Option<String>, Header, description = "As for a new run.")),
    request_body(content = RerunRequest, content_type = "application/json"),
    responses((status = 201, description = "Accepted.", body = Accepted,
               headers(("Location" = String, description = "The new run."),
                       ("Idempotency-Replayed" = String, description = "`true` if the key was seen before."))),
              Problems),
)]
pub(super) async fn rerun_run(
    State(app): State<App>,
    Segments(id): Segments<String>,
    (caller, visitor): (Caller, Visitor),
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Refusal> {
    let run = run_id(&id)?;
    let asked = app.bodies.json::<RerunRequest>(request, json_max(&app)).await?.value;
    let key = idempotency_key(&headers, &["rerun", &id], &asked)?;
    let which = match (asked.which, asked.from) {
        (Some(Which::All), None) => Rerun::All,
        (Some(Which::Failed), None) => Rerun::Failed,
        (None, Some(step)) => Rerun::From(step),
        _ => return Err(Refusal::new(Code::InvalidBody).detail("give exactly one of `which` and `from`")),
    };
    let engine = app.engine.clone();
    let rerun = async move { Ok(noted("run.rerun", engine.rerun(run, which, key).await?, id)) };
    Ok(accepted(&app.auth.noted(&caller, &visitor, rerun).await?))
}

/// Asks a run to stop. Clean-up steps still run, unless `force`; the run ends later. Asking twice is no error.
#[utoipa::path(
    post, path = "/runs/{id}/cancel", tag = "runs",
    params(("id" = String, Path, description = "The run's id.")),
    request_body(content = Option<CancelRequest>, content_type = "application/json"),
    responses((status = 202, description = "The wish is recorded.", body = Run), Problems),
)]
pub(super) async fn cancel_run(
    State(app): State<App>,
    Segments(id): Segments<String>,
    (caller, visitor): (Caller, Visitor),
    request: Request,
) -> Result<Response, Refusal> {
    let run = run_id(&id)?;
    let asked = app.bodies.json::<CancelRequest>(request, json_max(&app)).await?.value;
    let engine = app.engine.clone();
    let cancel = async move {
        engine.cancel(run, asked.force).await?;
        let detail = if asked.force { "force" } else { "" }.to_owned();
        Ok(((), Some(Note { action: "run.cancelled", about: id, detail })))
    };
    app.auth.noted(&caller, &visitor, cancel).await?;
    let row = steps::run(&app, run).await?;
    Ok((StatusCode::ACCEPTED, Json(Run::from(&row))).into_response())
}

/// What is noted of a run that was accepted: nothing if it had been before.
fn noted(action: &'static str, submitted: Submitted, detail: String) -> (Submitted, Option<Note>) {
    let note = (!submitted.replayed).then(|| Note { action, about: submitted.run.to_string(), detail });
    (submitted, note)
}

fn json_max(app: &App) -> usize {
    (app.engine.limits().body_bytes_max as usize).min(JSON_BYTES_MAX)
}

fn accepted(submitted: &Submitted) -> Response {
    let id = submitted.run.to_string();
    let location = format!("/api/v1/runs/{id}");
    let body = Json(Accepted { id, replayed: submitted.replayed });
    let replayed = submitted.replayed.then_some([("idempotency-replayed", "true")]);
    match replayed {
        Some(replayed) => (StatusCode::CREATED, [(LOCATION, location)], replayed, body).into_response(),
        None => (StatusCode::CREATED, [(LOCATION, location)], body).into_response(),
    }
}

/// The client's key for this request (draft-ietf-httpapi-idempotency-key-header-07), bare or as the quoted string of
/// the draft. What was asked is hashed as we understood it, so that another order of keys or spaces is the same request.
fn idempotency_key(
    headers: &HeaderMap,
    path: &[&str],
    asked: &impl serde::Serialize,
) -> Result<Option<IdempotencyKey>, Refusal> {
    let mut given = headers.get_all("idempotency-key").iter();
    let Some(value) = given.next() else { return Ok(None) };
    let refused = |why: &str| Refusal::new(Code::InvalidHeader).detail(format_args!("Idempotency-Key {why}"));
    if given.next().is_some() {
        return Err(refused("may be given once"));
    }
    let key = value.to_str().map_err(|_| refused("must be visible ASCII"))?;
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(refused("must have 1 to 255 bytes"));
    }
    let text = serde_json::to_vec(&(path, asked)).map_err(Refusal::internal)?;
    Ok(Some(IdempotencyKey { key: key.to_owned(), asked: Sha256::digest(&text).into() }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn key(value: &[u8], inputs: &str) -> Result<Option<IdempotencyKey>, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", http::HeaderValue::from_bytes(value).unwrap());
        idempotency_key(&headers, &["submit", "w"], &serde_json::from_str::<SubmitRequest>(inputs).unwrap())
    }

    #[test]
    fn the_same_request_is_the_same_however_it_is_written() {
        let one = key(b"k", r#"{"inputs":{"a":1,"b":"x"}}"#).unwrap().unwrap();
        let two = key(b"\"k\"", r#"{ "inputs": {"b":"x", "a":1} }"#).unwrap().unwrap();
        assert_eq!((&one.key, one.asked), (&two.key, two.asked));
        assert_ne!(one.asked, key(b"k", r#"{"inputs":{"a":2,"b":"x"}}"#).unwrap().unwrap().asked);
    }

    #[test]
    fn keys_have_bounds() {
        assert!(key(&[b'k'; 255], "{}").unwrap().is_some());
        for bad in [&[b'k'; 256][..], b"", b"\"\"", b"\xff"] {
            assert_eq!(key(bad, "{}").unwrap_err().code(), Code::InvalidHeader, "{bad:?}");
        }
        assert!(idempotency_key(&HeaderMap::new(), &[], &()).unwrap().is_none());
    }
}
