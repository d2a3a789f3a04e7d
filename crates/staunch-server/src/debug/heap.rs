//! `GET /debug/pprof/heap`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;

use super::routes::Debug;
use crate::app::App;
use crate::ask::{Asked, within};
use crate::pprof::Profile;
use crate::problem::{Code, Refusal};

/// The longest difference, in seconds.
pub(super) const SECONDS_MAX: u32 = 60;
/// The sites that a text names.
const SITES_MAX: usize = 50;

/// Parameters of a profile.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeapQuery {
    /// What changes in so many seconds, instead of what is live.
    #[serde(default)]
    seconds: Option<u32>,
    /// 1: as text.
    #[serde(default)]
    debug: u8,
}

/// What is live by where it was allocated, or what changes in `seconds`.
pub(super) async fn heap(State(debug): State<Arc<Debug>>, Asked(asked): Asked<HeapQuery>) -> Result<Response, Refusal> {
    let seconds = asked.seconds.map(|seconds| within("seconds", Some(seconds), 1, SECONDS_MAX)).transpose()?;
    let take = debug.allocator.profile.ok_or_else(|| {
        let why = format_args!("the allocator of this build ({}) takes none", debug.allocator.name);
        Refusal::new(Code::NoProfile).detail(why)
    })?;
    let turn = debug.turns.begin(Instant::now())?;
    let app = &debug.app;
    let mut bytes = profile(app, take).await?;
    if let Some(seconds) = seconds {
        let base = bytes;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(seconds.into())) => {}
            () = app.engine.tasks().token().cancelled() => {
                return Err(Refusal::new(Code::Stopping).retry_after(Duration::from_secs(5)));
            }
        }
        let now = profile(app, take).await?;
        let difference = move || Profile::decode(&now)?.since(&Profile::decode(&base)?).encode();
        bytes = app.blocking(difference).await?.map_err(Refusal::internal)?;
    }
    if asked.debug != 0 {
        let text = move || io::Result::Ok(Profile::decode(&bytes)?.text(SITES_MAX));
        let text = app.blocking(text).await?.map_err(Refusal::internal)?;
        return Ok(([(CACHE_CONTROL, "no-store")], text).into_response());
    }
    drop(turn);
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_DISPOSITION, "attachment; filename=\"heap.pb.gz\""),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, bytes).into_response())
}

async fn profile(app: &App, take: fn() -> io::Result<Vec<u8>>) -> Result<Vec<u8>, Refusal> {
    app.blocking(take).await?.map_err(|error| match error.kind() {
        // The server takes some itself, when memory grows.
        io::ErrorKind::ResourceBusy => {
            Refusal::new(Code::ProfileBusy).detail("the server takes one itself").retry_after(Duration::from_secs(1))
        }
        _ => Refusal::internal(error),
    })
}
