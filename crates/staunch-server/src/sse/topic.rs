//! What a client wants to follow, and where it left off.

use std::fmt;

use staunch_store::RunId;

use crate::ask::run_id;
use crate::cursor::{LogCursor, number};
use crate::problem::{Code, Refusal};

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// What happens to a run: `run:ID`.
    Run(RunId),
    /// What a step says: `log:ID:STEP`.
    Log(RunId, String),
}

/// How far a topic has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The number of the last event.
    Event(u64),
    /// The place in the log.
    Log(LogCursor),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(f, "run:{run}"),
            Self::Log(run, step) => write!(f, "log:{run}:{step}"),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(seq) => write!(f, "{seq}"),
            Self::Log(cursor) => write!(f, "{cursor}"),
        }
    }
}

impl Topic {
    /// The run it is about.
    pub(super) fn run(&self) -> RunId {
        match self {
            Self::Run(run) | Self::Log(run, _) => *run,
        }
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let bad = || Refusal::new(Code::InvalidTopics).detail("a topic is `run:ID` or `log:ID:STEP`");
        match text.split_once(':').ok_or_else(bad)? {
            ("run", id) => Ok(Self::Run(run_id(id)?)),
            ("log", rest) => {
                let (id, step) = rest.split_once(':').filter(|(_, step)| !step.is_empty()).ok_or_else(bad)?;
                Ok(Self::Log(run_id(id)?, step.to_owned()))
            }
            _ => Err(bad()),
        }
    }

    fn mark(&self, text: Option<&str>) -> Result<Mark, Refusal> {
        let bad = |_| Refusal::new(Code::InvalidCursor).detail("the id is not of these topics");
        Ok(match (self, text) {
            (Self::Run(_), text) => Mark::Event(text.map_or(Ok(0), number).map_err(bad)?),
            (Self::Log(..), None) => Mark::Log(LogCursor::default()),
            (Self::Log(..), Some(text)) => Mark::Log(text.parse().map_err(bad)?),
        })
    }
}

/// The topics of a request, at most `max`, each where the client left off.
pub(super) fn places(topics: &str, after: Option<&str>, max: usize) -> Result<Vec<(Topic, Mark)>, Refusal> {
    // Counted before they are parsed: the list is as long as a request line may be.
    if topics.split(',').take(max + 1).count() > max {
        return Err(Refusal::new(Code::InvalidTopics).detail(format_args!("at most {max} topics go into one stream")));
    }
    let mut marks = after.map(|after| after.split(','));
    let mut places: Vec<(Topic, Mark)> = Vec::new();
    for text in topics.split(',') {
        let topic = Topic::parse(text)?;
        if places.iter().any(|(known, _)| *known == topic) {
            return Err(Refusal::new(Code::InvalidTopics).detail(format_args!("{topic} is given twice")));
        }
        let mark = match &mut marks {
            None => topic.mark(None)?,
            // An id with fewer parts than topics is of another request.
            Some(marks) => topic.mark(Some(marks.next().unwrap_or("?")))?,
        };
        places.push((topic, mark));
    }
    if marks.is_some_and(|mut marks| marks.next().is_some()) {
        return Err(Refusal::new(Code::InvalidCursor).detail("the id is not of these topics"));
    }
    Ok(places)
}
