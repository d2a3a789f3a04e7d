//! A stream, from the request to the answer.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::stream::LiveStream;
use super::topic;
use crate::app::App;
use crate::auth::Caller;
use crate::problem::Refusal;

/// Opens a stream of `topics`, going on after the event with the id `after`. It ends when the caller is not let in any more.
pub(crate) async fn open(app: App, topics: &str, after: Option<&str>, caller: &Caller) -> Result<Response, Refusal> {
    let places = topic::places(topics, after, app.engine.limits().topics_per_stream_max as usize)?;
    let seat = app.stream(caller)?;
    let stream = LiveStream::open(app, places, seat, caller.leaves()).await?;
    let body =
        unfold(stream, |mut stream| async move { stream.next().await.map(|bytes| (Ok::<_, Never>(bytes), stream)) });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// A stream that fails ends; the client comes again with its last id.
type Never = std::convert::Infallible;
