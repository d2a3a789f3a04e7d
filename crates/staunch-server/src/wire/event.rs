//! Events of runs, as pages and as a live stream.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use staunch_store::EventRow;
use utoipa::ToSchema;

use super::log::LogStream;
use crate::steps::Steps;

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its number in its run, from 1, without holes.
    pub seq: u64,
    /// When, RFC 3339 in UTC with milliseconds.
    pub at: String,
    /// What it is called: `run.started`, `step.started`, `step.ended`, `step.settled`, `run.ended`, ...
    pub name: String,
    /// What it says. `step`, where there is one, is the step's id.
    #[schema(value_type = Object)]
    pub body: Value,
}

/// A page of a run's events, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events.
    pub items: Vec<Event>,
    /// `after` of the next page; null if there is no more now.
    pub next_cursor: Option<String>,
}

/// Live stream: an event of a run. The stream's `event:` is its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunEvent {
    /// The run's id.
    pub run: String,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// Live stream, `event: log`: a stretch of output. A new attempt of the step goes on in the same topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogEvent {
    /// The run's id.
    pub run: String,
    /// The step's id.
    pub step: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Which stream.
    pub stream: LogStream,
    /// Milliseconds since the attempt's start.
    pub ms: u32,
    /// The text; bytes that are not UTF-8 are replaced by U+FFFD.
    pub text: String,
    /// A `cursor` of the log that names this place.
    pub cursor: String,
}

/// Live stream, `event: gap`: something was left out just before what follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GapEvent {
    /// The topic it was left out of.
    pub topic: String,
    /// How many bytes of output fell out of the middle of the log; null if that is not known.
    pub bytes: Option<u64>,
    /// What happened, in words.
    pub reason: String,
}

/// Live stream, `event: end`: every topic is over and nothing more will come. The stream closes after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndEvent {
    /// The topics, as they were asked for.
    pub topics: Vec<String>,
}

impl Event {
    /// An event of the store. Where its body names a step by its place in the workflow, the client gets the step's id.
    pub(crate) fn new(row: EventRow, steps: &Steps) -> Self {
        let mut body = serde_json::from_str(&row.body).unwrap_or(Value::Null);
        if let Some(step) = body.get_mut("step")
            && let Some(id) = step.as_u64().and_then(|index| steps.id(usize::try_from(index).ok()?))
        {
            *step = Value::from(id);
        }
        Self { seq: row.seq, at: row.at.rfc3339(), name: row.name, body }
    }
}
