//! Follows a run of this process.

use std::collections::VecDeque;

use serde_json::Value;
use staunch_engine::{Engine, Watch};
use staunch_flow::StepIndex;
use staunch_server::wire::RunDetail;
use staunch_store::logs::{LogPage, Record};
use staunch_store::{AttemptKey, EventRow, LogPlace, RunId, StoreError};

use super::room::refused;
use crate::failure::Failure;
use crate::news::{News, of_event};
use crate::render::bytes;

/// Events that are read at once.
const EVENTS_MAX: u32 = 500;

/// Output that is read at once, in bytes.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// The news of a run of this process, by its own cursor in the run's events and in the logs of the attempts that run. It
/// holds no more than a page of output for each attempt that runs, however much they say.
pub(crate) struct LocalNews {
    engine: Engine,
    run: RunId,
    watch: Watch,
    ids: Vec<String>,
    output: bool,
    seq: u64,
    open: Vec<OpenLog>,
    todo: VecDeque<Todo>,
    pending: VecDeque<News>,
    over: bool,
}

/// The log of an attempt that runs, and how far it was read.
struct OpenLog {
    step: usize,
    attempt: u32,
    epoch: u32,
    cursor: u64,
}

/// What follows from events that were read, in order.
enum Todo {
    /// Read the rest of a log: the attempt is over, and its last line stands before its end.
    Drain(OpenLog, Option<LogPlace>),
    /// Tell this.
    Tell(News),
}

impl LocalNews {
    /// Follows a run from its beginning, with what its steps say if `output`.
    pub(crate) fn follow(engine: &Engine, run: RunId, detail: &RunDetail, output: bool) -> Self {
        Self {
            engine: engine.clone(),
            run,
            watch: engine.feed().watch(run),
            ids: detail.steps.iter().map(|step| step.id.clone()).collect(),
            output,
            seq: 0,
            open: Vec::new(),
            todo: VecDeque::new(),
            pending: VecDeque::new(),
            over: false,
        }
    }

    /// The next piece of news; `None` after [`News::Over`]. If dropped before it ends, what was read may be lost.
    pub(crate) async fn next(&mut self) -> Result<Option<News>, Failure> {
        loop {
            if let Some(news) = self.pending.pop_front() {
                return Ok(Some(news));
            }
            let progress = match self.todo.pop_front() {
                Some(Todo::Tell(news)) => return Ok(Some(news)),
                Some(Todo::Drain(log, place)) => self.drain(log, place).await.map(|()| true),
                None if self.over => return Ok(None),
                None => self.gather().await,
            };
            if !progress.map_err(|error| refused(&error))? {
                self.watch.changed().await;
            }
        }
    }

    /// Reads on: events, and a page of what each attempt that runs has said. Whether there was anything.
    async fn gather(&mut self) -> Result<bool, StoreError> {
        // Output before events: what is read here is older than the end of its attempt, if that comes now.
        let mut moved = false;
        for mut log in std::mem::take(&mut self.open) {
            if self.engine.logs().is_ahead(self.key(&log), log.epoch, log.cursor) {
                moved |= !self.read_on(&mut log, None).await?;
            }
            self.open.push(log);
        }
        let events = self.engine.store().events(self.run, self.seq, EVENTS_MAX).await?;
        moved |= !events.is_empty();
        for event in events {
            self.seq = event.seq;
            self.event(&event).await?;
        }
        Ok(moved)
    }

    async fn event(&mut self, event: &EventRow) -> Result<(), StoreError> {
        let body: Value = serde_json::from_str(&event.body).unwrap_or_default();
        let Some(news) = of_event(&event.name, &body, &self.ids) else { return Ok(()) };
        match &news {
            News::Started { step, attempt } if self.output => {
                let epoch = body.get("epoch").and_then(Value::as_u64).and_then(|epoch| u32::try_from(epoch).ok());
                self.start(step, *attempt, epoch.unwrap_or(1));
            }
            News::Ended { step, attempt, .. } => {
                let silent = body.get("log_bytes").and_then(Value::as_u64) == Some(0);
                self.end(step, *attempt, silent).await?;
            }
            News::Over(_) => self.over = true,
            _ => {}
        }
        self.todo.push_back(Todo::Tell(news));
        Ok(())
    }

    fn start(&mut self, step: &str, attempt: u32, epoch: u32) {
        let Some(step) = self.ids.iter().position(|id| id == step) else { return };
        // An attempt that was lost and begins anew has a new log.
        self.open.retain(|log| (log.step, log.attempt) != (step, attempt));
        self.open.push(OpenLog { step, attempt, epoch, cursor: 0 });
    }

    /// The attempt is over; `silent` if its log is known to be empty.
    async fn end(&mut self, step: &str, attempt: u32, silent: bool) -> Result<(), StoreError> {
        let ours = |log: &OpenLog| self.ids.get(log.step).is_some_and(|id| id == step) && log.attempt == attempt;
        if let Some(place) = self.open.iter().position(ours) {
            let log = self.open.swap_remove(place);
            if silent && log.cursor == 0 {
                return Ok(());
            }
            // A small log lies in the database once it is sealed; any other is still found by its name.
            let inline = self.engine.store().inline_log(self.key(&log)).await?.map(LogPlace::Inline);
            self.todo.push_back(Todo::Drain(log, inline));
        }
        Ok(())
    }

    async fn drain(&mut self, mut log: OpenLog, place: Option<LogPlace>) -> Result<(), StoreError> {
        if !self.read_on(&mut log, place.clone()).await? {
            self.todo.push_front(Todo::Drain(log, place));
        }
        Ok(())
    }

    /// Reads a page of a log. Whether there is no more now.
    async fn read_on(&mut self, log: &mut OpenLog, place: Option<LogPlace>) -> Result<bool, StoreError> {
        let page = self.page(log, place).await?;
        let Some(step) = self.ids.get(log.step) else { return Ok(true) };
        if page.gap > 0 {
            let what = format!("{} left out", bytes(page.gap));
            self.pending.push_back(News::LeftOut { step: Some(step.clone()), what });
        }
        log.cursor = page.next;
        let done = page.end || page.records.is_empty();
        self.pending.extend(page.records.into_iter().map(|record| News::Output {
            step: step.clone(),
            stream: record.stream.into(),
            bytes: record.bytes,
        }));
        Ok(done)
    }

    async fn page(&self, log: &OpenLog, place: Option<LogPlace>) -> Result<LogPage, StoreError> {
        let (logs, key, epoch, cursor) = (self.engine.logs().clone(), self.key(log), log.epoch, log.cursor);
        let read = move || logs.read(key, epoch, place.as_ref(), cursor, PAGE_BYTES_MAX);
        self.engine.tasks().blocking(read).await.unwrap_or(Err(StoreError::Closed))
    }

    fn key(&self, log: &OpenLog) -> AttemptKey {
        key(self.run, log.step, log.attempt)
    }
}

/// About the last lines of an attempt that is over, at most [`PAGE_BYTES_MAX`]. The step is named by its place and its id,
/// the attempt by its number and its claim.
pub(crate) async fn tail(
    engine: &Engine,
    run: RunId,
    (place, id): (usize, &str),
    (attempt, epoch): (u32, u32),
    lines: usize,
) -> Result<Vec<News>, StoreError> {
    let key = key(run, place, attempt);
    let inline = engine.store().inline_log(key).await?.map(LogPlace::Inline);
    let logs = engine.logs().clone();
    let read = move || {
        let cursor = logs.tail(key, epoch, inline.as_ref(), lines)?;
        logs.read(key, epoch, inline.as_ref(), cursor, PAGE_BYTES_MAX)
    };
    let page = engine.tasks().blocking(read).await.unwrap_or(Err(StoreError::Closed))?;
    let output =
        |record: Record| News::Output { step: id.to_owned(), stream: record.stream.into(), bytes: record.bytes };
    Ok(page.records.into_iter().map(output).collect())
}

fn key(run: RunId, step: usize, attempt: u32) -> AttemptKey {
    // A workflow has at most 5,000 steps, so its places fit.
    AttemptKey { run, step: StepIndex(u32::try_from(step).unwrap_or(u32::MAX)), attempt }
}
