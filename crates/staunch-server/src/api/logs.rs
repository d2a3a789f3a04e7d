//! Logs: a page of text, or the bytes as they were written.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use staunch_store::{RunState, logs::Stream};
use utoipa::IntoParams;

use super::openapi::Problems;
use crate::app::App;
use crate::ask::{Asked, Segments, run_id, within};
use crate::auth::{Caller, Leaves};
use crate::bounds::{LOG_PAGE_BYTES, LOG_PAGE_BYTES_MAX, TAIL_LINES_MAX};
use crate::cursor::LogCursor;
use crate::problem::{Code, Refusal};
use crate::reading::{Pieces, Source};
use crate::steps::{self, Begun, Steps};
use crate::wire::{LogPage, LogRecord, LogStream};

/// Parameters of a page of a log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Which attempt, from 1; the newest that has begun if not given.
    #[serde(default)]
    #[param(minimum = 1)]
    attempt: Option<u32>,
    /// `next` of the page before, or the `cursor` of a record. Opaque.
    #[serde(default)]
    cursor: Option<String>,
    /// At most about this many bytes of output, up to 262144; 65536 if not given.
    #[serde(default)]
    #[param(minimum = 1, maximum = 262_144)]
    limit: Option<u32>,
    /// Start about this many lines before the end, up to 10000.
    #[serde(default)]
    #[param(minimum = 1, maximum = 10_000)]
    tail: Option<u32>,
}

/// What a step said, as text. Works while it runs: ask again with `next`.
#[utoipa::path(
    get, path = "/runs/{id}/steps/{step}/log", tag = "logs",
    params(("id" = String, Path, description = "The run's id."), ("step" = String, Path, description = "The step's id."), LogQuery),
    responses((status = 200, body = LogPage), Problems),
)]
pub(super) async fn show_log(
    State(app): State<App>,
    Segments((id, step)): Segments<(String, String)>,
    Asked(asked): Asked<LogQuery>,
) -> Result<Json<LogPage>, Refusal> {
    let bytes_max = within("limit", asked.limit, LOG_PAGE_BYTES, LOG_PAGE_BYTES_MAX)?;
    let lines = asked.tail.map(|lines| within("tail", Some(lines), 1, TAIL_LINES_MAX)).transpose()?;
    let cursor = asked.cursor.as_deref().map(|text| text.parse::<LogCursor>()).transpose();
    let cursor = cursor.map_err(|_| Refusal::new(Code::InvalidCursor))?;
    if cursor.is_some() && lines.is_some() {
        return Err(Refusal::new(Code::InvalidQuery).detail("give `cursor` or `tail`, not both"));
    }
    let wanted = match (asked.attempt, cursor) {
        (Some(attempt), Some(cursor)) if cursor.attempt != attempt => {
            return Err(Refusal::new(Code::InvalidCursor).detail("the cursor is of another attempt"));
        }
        (attempt, cursor) => attempt.or(cursor.map(|cursor| cursor.attempt)),
    };
    let found = find(&app, &id, &step, wanted).await?;
    let Some((begun, source)) = found.log else {
        // Nothing has begun: the place where it will.
        let next = LogCursor::start(wanted.unwrap_or(1), 0).to_string();
        let attempt = wanted.unwrap_or(1);
        return Ok(Json(LogPage { attempt, epoch: 0, records: Vec::new(), gap: 0, next, end: found.over }));
    };
    let mut from = LogCursor::start(begun.attempt, begun.epoch);
    match (cursor, lines) {
        // A cursor of an earlier claim leads to the start of the present one's log.
        (Some(cursor), _) if cursor.epoch == begun.epoch => from = cursor,
        (_, Some(lines)) => from.at = source.tail(&app, lines as usize).await?,
        _ => {}
    }
    Ok(Json(page(&begun, source.pieces(&app, from, bytes_max as usize).await?)))
}

/// Parameters of a download.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RawQuery {
    /// Which attempt, from 1; the newest that has begun if not given.
    #[serde(default)]
    #[param(minimum = 1)]
    attempt: Option<u32>,
    /// Only this stream; both if not given.
    #[serde(default)]
    stream: Option<LogStream>,
}

/// What a step said, byte for byte, as a download. Where the cap on a log's size left out the middle, a line says so.
#[utoipa::path(
    get, path = "/runs/{id}/steps/{step}/log/raw", tag = "logs",
    params(("id" = String, Path, description = "The run's id."), ("step" = String, Path, description = "The step's id."), RawQuery),
    responses((status = 200, description = "The bytes that are there now.", body = String, content_type = "application/octet-stream"),
              Problems),
)]
pub(super) async fn download_log(
    State(app): State<App>,
    caller: Caller,
    Segments((id, step)): Segments<(String, String)>,
    Asked(asked): Asked<RawQuery>,
) -> Result<Response, Refusal> {
    let found = find(&app, &id, &step, asked.attempt).await?;
    let attempt = found.log.as_ref().map_or(1, |(begun, _)| begun.attempt);
    // Ids of runs and steps have only characters that are safe here.
    let disposition = format!("attachment; filename=\"{id}-{step}-{attempt}.log\"");
    let wanted = asked.stream.map(|stream| match stream {
        LogStream::Stdout => Stream::Stdout,
        LogStream::Stderr => Stream::Stderr,
    });
    let body = match found.log {
        Some((_, source)) => Body::from_stream(download(app, source, wanted, caller.leaves())),
        None => Body::empty(),
    };
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_DISPOSITION, disposition),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// A step's log, as far as there is one.
struct Found {
    log: Option<(Begun, Source)>,
    over: bool,
}

async fn find(app: &App, id: &str, step: &str, attempt: Option<u32>) -> Result<Found, Refusal> {
    let row = steps::run(app, run_id(id)?).await?;
    let index = Steps::of(app, &row).await?.index(step)?;
    let mut all: Vec<_> = steps::begun(app, row.head.id, &[index]).await?.into_iter().map(|(_, begun)| begun).collect();
    let over = row.state == RunState::Ended;
    let begun = match attempt.map(|attempt| (attempt, all.iter().position(|begun| begun.attempt == attempt))) {
        None => all.pop(),
        Some((_, Some(place))) => Some(all.swap_remove(place)),
        // The first attempt may be waited for; any other has begun or is unknown.
        Some((1, None)) if all.is_empty() => None,
        Some((attempt, None)) => {
            return Err(Refusal::new(Code::UnknownAttempt).detail(format_args!("there is no attempt {attempt}")));
        }
    };
    let Some(begun) = begun else { return Ok(Found { log: None, over }) };
    let source = Source::of(app, row.head.id, index, &begun).await?;
    Ok(Found { log: Some((begun, source)), over })
}

fn page(begun: &Begun, pieces: Pieces) -> LogPage {
    let record = |piece: crate::reading::Piece| LogRecord {
        cursor: piece.from.to_string(),
        stream: piece.stream.into(),
        ms: piece.ms,
        text: piece.text,
    };
    LogPage {
        attempt: begun.attempt,
        epoch: begun.epoch,
        gap: pieces.gap,
        next: pieces.next.to_string(),
        end: pieces.end,
        records: pieces.pieces.into_iter().map(record).collect(),
    }
}

/// The head of the answer has left: the connection is cut, so that nobody takes what has come for the whole.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("the log cannot be read")]
    Unreadable,
    #[error("whoever asked is not let in any more")]
    PutOut,
}

/// The bytes, a page at a time: no more is read than the client takes, and none once `leaves` has ended.
fn download(
    app: App,
    source: Source,
    wanted: Option<Stream>,
    leaves: Leaves,
) -> impl futures_util::Stream<Item = Result<Bytes, Cut>> + Send {
    stream::unfold(Some((app, source, leaves, 0u64)), move |state| async move {
        let (app, source, mut leaves, mut at) = state?;
        loop {
            let read = tokio::select! {
                biased;
                () = leaves.as_mut() => return Some((Err(Cut::PutOut), None)),
                read = source.read(&app, at, LOG_PAGE_BYTES as usize) => read,
            };
            let page = match read {
                Ok(page) => page,
                Err(refusal) => {
                    tracing::error!("a download of a log ended early: {}", refusal.secret().unwrap_or("refused"));
                    return Some((Err(Cut::Unreadable), None));
                }
            };
            let mut bytes = Vec::new();
            if page.gap > 0 {
                bytes.extend_from_slice(format!("\n[... {} bytes left out ...]\n", page.gap).as_bytes());
            }
            for record in page.records.iter().filter(|record| wanted.is_none_or(|wanted| wanted == record.stream)) {
                bytes.extend_from_slice(&record.bytes);
            }
            let over = page.end || page.next == at;
            at = page.next;
            if !bytes.is_empty() {
                return Some((Ok(Bytes::from(bytes)), (!over).then_some((app, source, leaves, at))));
            }
            if over {
                return None;
            }
        }
    })
}
