//! One run of a live stream: its events, and the logs of some of its steps.

use staunch_bounded::fault_point;
use staunch_engine::Watch;
use staunch_flow::StepIndex;
use staunch_store::{EventRow, RunId, RunState};

use super::page::Page;
use super::topic::{Mark, Topic};
use crate::app::App;
use crate::bounds::STREAM_READ_BYTES;
use crate::cursor::LogCursor;
use crate::problem::Refusal;
use crate::reading::{Pieces, Source};
use crate::steps::{self, Begun, Steps};
use crate::wire::{Event, GapEvent, LogEvent, RunEvent};

/// Events read at once when they are told, and when they are only looked through.
const EVENTS_TOLD: u32 = 64;
const EVENTS_SEEN: u32 = 500;

/// A run that is followed.
pub(super) struct Follow {
    run: RunId,
    watch: Watch,
    steps: Steps,
    /// The topic that tells its events, if one does. They are looked through in any case: they say when a step has a new attempt.
    told: Option<usize>,
    /// The number of the last event looked at.
    seq: u64,
    /// The event before which the logs were last brought up to date.
    held: u64,
    /// Whether all events there are have been looked at once.
    caught_up: bool,
    /// Whether the store has it as ended.
    row_ended: bool,
    /// Whether the end was looked at.
    ended: bool,
    /// Whether the row is to be read again.
    suspect: bool,
    /// Whether the attempts are to be read again.
    stale: bool,
    logs: Vec<LogFollow>,
}

/// The log of one step that is followed, attempt by attempt.
struct LogFollow {
    topic: usize,
    run: RunId,
    step: StepIndex,
    id: String,
    at: LogCursor,
    /// The attempts from this place on that have begun; the first is being read.
    begun: Vec<Begun>,
    source: Option<Source>,
    /// Whether the attempt at this place has been read to its end.
    read: bool,
    /// Whether no attempt will follow.
    settled: bool,
}

impl Follow {
    /// Begins to follow a run; topics are added then.
    pub(super) async fn begin(app: &App, run: RunId) -> Result<Self, Refusal> {
        // Subscribed before anything is read, so that nothing falls between.
        let watch = app.engine.feed().watch(run);
        let row = steps::run(app, run).await?;
        let steps = Steps::of(app, &row).await?;
        let row_ended = row.state == RunState::Ended;
        Ok(Self {
            run,
            watch,
            steps,
            told: None,
            seq: 0,
            held: 0,
            caught_up: false,
            row_ended,
            ended: false,
            suspect: false,
            stale: false,
            logs: Vec::new(),
        })
    }

    /// Follows this topic of the run too, from `mark`.
    pub(super) fn add(&mut self, index: usize, topic: Topic, mark: Mark) -> Result<(), Refusal> {
        match (topic, mark) {
            (Topic::Log(_, id), Mark::Log(at)) => {
                let step = self.steps.index(&id)?;
                let run = self.run;
                let log = LogFollow {
                    topic: index,
                    run,
                    step,
                    id,
                    at,
                    begun: Vec::new(),
                    source: None,
                    read: false,
                    settled: false,
                };
                self.logs.push(log);
                self.stale = true;
            }
            (Topic::Run(_), Mark::Event(seq)) => {
                self.told = Some(index);
                self.seq = seq;
            }
            (topic, _) => return Err(Refusal::internal(format_args!("{topic} has a mark of the other kind"))),
        }
        Ok(())
    }

    /// The run.
    pub(super) fn run(&self) -> RunId {
        self.run
    }

    /// Ends when there may be news.
    pub(super) async fn changed(&mut self) {
        self.watch.changed().await;
    }

    /// Looks again at what only a wake would tell.
    pub(super) fn suspect(&mut self) {
        self.suspect = !self.ended;
    }

    /// Whether nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        let logs = self.logs.iter().all(|log| log.is_over(self.ended));
        logs && (self.ended || self.told.is_none())
    }

    /// Puts what is new onto the page, until the page is full or nothing is new. All output of an attempt comes before the event that
    /// says that it ended.
    pub(super) async fn advance(&mut self, app: &App, page: &mut Page) -> Result<(), Refusal> {
        if std::mem::take(&mut self.suspect) {
            fault_point!("server.sse.run").map_err(Refusal::internal)?;
            // A run that retention has removed is over too.
            let row = app.engine.store().run(self.run).await?;
            self.row_ended = row.is_none_or(|row| row.state == RunState::Ended);
            self.stale |= self.row_ended && !self.logs.is_empty();
        }
        loop {
            if std::mem::take(&mut self.stale) {
                self.refresh(app, page).await?;
            }
            for log in &mut self.logs {
                log.advance(app, page).await?;
                if page.is_full() {
                    return Ok(());
                }
            }
            if !self.events(app, page).await? || page.is_full() {
                return Ok(());
            }
        }
    }

    /// Reads which attempts there are.
    async fn refresh(&mut self, app: &App, page: &mut Page) -> Result<(), Refusal> {
        fault_point!("server.sse.attempts").map_err(Refusal::internal)?;
        let wanted: Vec<_> = self.logs.iter().map(|log| log.step).collect();
        let begun = steps::begun(app, self.run, &wanted).await?;
        for log in &mut self.logs {
            let own = begun.iter().filter(|(step, _)| *step == log.step).map(|(_, begun)| begun.clone());
            log.refresh(own.collect(), page);
        }
        Ok(())
    }

    /// Looks at the next events. Whether there may be more to do.
    async fn events(&mut self, app: &App, page: &mut Page) -> Result<bool, Refusal> {
        if self.ended {
            return Ok(false);
        }
        fault_point!("server.sse.events").map_err(Refusal::internal)?;
        let max = if self.told.is_some() { EVENTS_TOLD } else { EVENTS_SEEN };
        let rows = app.engine.store().events(self.run, self.seq, max).await?;
        if rows.is_empty() {
            self.ended = self.row_ended;
            if !std::mem::replace(&mut self.caught_up, true) && self.told.is_none() {
                // Attempts may have begun while old events were looked through.
                self.stale = true;
            }
            return Ok(self.stale);
        }
        for row in rows {
            if self.hold(&row) {
                return Ok(true);
            }
            self.pass(row, page);
            if page.is_full() || self.stale {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Whether the logs must be brought up to date before this event is told.
    fn hold(&mut self, row: &EventRow) -> bool {
        let looked_through = self.told.is_none() && !self.caught_up;
        let ends = match row.name.as_str() {
            "step.ended" | "step.settled" => self.logs.iter().any(|log| log.is_meant(row)),
            "run.ended" => !self.logs.is_empty(),
            _ => false,
        };
        if !ends || looked_through || self.held >= row.seq {
            return false;
        }
        self.held = row.seq;
        self.stale = true;
        true
    }

    /// Tells an event, and draws what follows from it.
    fn pass(&mut self, row: EventRow, page: &mut Page) {
        self.seq = row.seq;
        for log in self.logs.iter_mut().filter(|log| log.is_meant(&row)) {
            log.settled |= row.name == "step.settled";
            // A new attempt; while old events are only looked through, once at their end is enough.
            self.stale |= row.name == "step.started" && (self.told.is_some() || self.caught_up);
        }
        self.ended |= row.name == "run.ended";
        if let Some(topic) = self.told {
            let mark = Mark::Event(row.seq);
            let event = RunEvent { run: self.run.to_string(), event: Event::new(row, &self.steps) };
            page.event(&event.event.name, topic, mark, &event);
        }
    }
}

impl LogFollow {
    /// Whether nothing more will come, given whether the run ended.
    fn is_over(&self, run_ended: bool) -> bool {
        (self.settled || run_ended) && (self.begun.is_empty() || (self.read && self.begun.len() == 1))
    }

    /// Whether an event is about this step.
    fn is_meant(&self, row: &EventRow) -> bool {
        /// The store, which knows no ids, names a step by its place; the engine by its id.
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Named<'a> {
            Place(u32),
            Id(#[serde(borrow)] std::borrow::Cow<'a, str>),
        }

        #[derive(serde::Deserialize)]
        struct About<'a> {
            #[serde(borrow)]
            step: Named<'a>,
        }

        row.name.starts_with("step.")
            && serde_json::from_str::<About<'_>>(&row.body).is_ok_and(|about| match about.step {
                Named::Place(place) => place == self.step.0,
                Named::Id(id) => id == self.id,
            })
    }

    /// Takes in which attempts have begun.
    fn refresh(&mut self, begun: Vec<Begun>, page: &mut Page) {
        self.begun = begun;
        self.begun.retain(|begun| begun.attempt >= self.at.attempt);
        self.source = None;
        let Some(first) = self.begun.first() else { return };
        if first.attempt != self.at.attempt {
            self.at = LogCursor::start(first.attempt, first.epoch);
            self.read = false;
        } else if first.epoch != self.at.epoch {
            let seen = self.at.epoch > 0 && (self.at.at > 0 || self.read);
            self.at = LogCursor::start(first.attempt, first.epoch);
            self.read = false;
            if seen {
                self.gap(page, None, "the attempt began anew after its worker was lost");
            }
        }
    }

    /// Reads on, from attempt to attempt, until the page is full or nothing is new.
    async fn advance(&mut self, app: &App, page: &mut Page) -> Result<(), Refusal> {
        while let Some(begun) = self.begun.first() {
            if self.read {
                if self.begun.len() == 1 {
                    return Ok(());
                }
                self.begun.remove(0);
                self.source = None;
                self.read = false;
                self.at = LogCursor::start(self.begun[0].attempt, self.begun[0].epoch);
                continue;
            }
            let source = match &self.source {
                Some(source) => source,
                None => &*self.source.insert(Source::of(app, self.run, self.step, begun).await?),
            };
            let pieces = source.pieces(app, self.at, STREAM_READ_BYTES).await?;
            let moved = pieces.next != self.at || pieces.end;
            self.tell(pieces, page);
            if page.is_full() || !moved {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Puts text onto the page until it is full; the rest is read again later.
    fn tell(&mut self, pieces: Pieces, page: &mut Page) {
        if pieces.gap > 0 {
            // It stands behind the gap from here on, so that the gap is told once.
            self.at = pieces.pieces.first().map_or(pieces.next, |first| first.from);
            self.gap(page, Some(pieces.gap), "the log is over its limit: its middle was left out");
        }
        for piece in pieces.pieces {
            if page.is_full() {
                return;
            }
            self.at = piece.to;
            let event = LogEvent {
                run: self.run.to_string(),
                step: self.id.clone(),
                attempt: piece.from.attempt,
                stream: piece.stream.into(),
                ms: piece.ms,
                text: piece.text,
                cursor: piece.from.to_string(),
            };
            page.event("log", self.topic, Mark::Log(self.at), &event);
        }
        self.at = pieces.next;
        self.read = pieces.end;
        page.mark(self.topic, Mark::Log(self.at));
    }

    fn gap(&self, page: &mut Page, bytes: Option<u64>, reason: &str) {
        let topic = Topic::Log(self.run, self.id.clone()).to_string();
        page.event("gap", self.topic, Mark::Log(self.at), &GapEvent { topic, bytes, reason: reason.to_owned() });
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use staunch_store::logs::Stream;

    use super::*;
    use crate::reading::Piece;

    fn log() -> LogFollow {
        LogFollow {
            topic: 0,
            run: RunId::generate(),
            step: StepIndex(3),
            id: "build".to_owned(),
            at: LogCursor::start(1, 1),
            begun: Vec::new(),
            source: None,
            read: false,
            settled: false,
        }
    }

    fn at(place: u64) -> LogCursor {
        LogCursor { at: place, ..LogCursor::start(1, 1) }
    }

    fn pieces(gap: u64) -> Pieces {
        let piece = |from, to, text: &str| Piece {
            from: at(from),
            to: at(to),
            stream: Stream::Stdout,
            ms: 0,
            text: text.to_owned(),
        };
        Pieces { pieces: vec![piece(50, 60, "a"), piece(60, 70, "b")], gap, next: at(80), end: true }
    }

    fn written(page: &mut Page) -> String {
        String::from_utf8(page.take().to_vec()).unwrap()
    }

    #[test]
    fn a_full_page_takes_nothing_more_and_the_log_stands_where_it_stopped() {
        let (mut log, mut page) = (log(), Page::new(vec![Mark::Event(0)], 1));
        log.tell(pieces(0), &mut page);
        let text = written(&mut page);
        assert!(text.contains("\"text\":\"a\"") && !text.contains("\"text\":\"b\""), "{text}");
        assert_eq!((log.at, log.read), (at(60), false));
    }

    #[test]
    fn a_gap_is_told_once_even_if_it_fills_the_page() {
        let (mut log, mut page) = (log(), Page::new(vec![Mark::Event(0)], 1));
        log.tell(pieces(40), &mut page);
        let text = written(&mut page);
        assert!(text.starts_with("event: gap\nid: 1.1.50\n") && !text.contains("event: log"), "{text}");
        assert_eq!(log.at, at(50), "behind the gap, before what follows");
    }

    #[test]
    fn all_that_is_told_moves_the_log_to_its_end() {
        let (mut log, mut page) = (log(), Page::new(vec![Mark::Event(0)], 1 << 20));
        log.tell(pieces(0), &mut page);
        assert_eq!((log.at, log.read), (at(80), true));
        assert!(!log.is_over(false), "another attempt may follow");
        assert!(log.is_over(true));
        log.settled = true;
        assert!(log.is_over(false));
    }

    #[test]
    fn events_name_a_step_by_place_or_by_id() {
        let about = |name: &str, body: &str| {
            let row =
                EventRow { seq: 1, at: staunch_store::Timestamp(0), name: name.to_owned(), body: body.to_owned() };
            log().is_meant(&row)
        };
        assert!(about("step.started", r#"{"step":3,"attempt":1}"#));
        assert!(about("step.ended", r#"{"step":"build"}"#));
        assert!(about("step.ended", r#"{"step":"bu\u0069ld"}"#));
        assert!(!about("step.ended", r#"{"step":"other"}"#) && !about("step.started", r#"{"step":4}"#));
        assert!(!about("run.started", r#"{"step":3}"#) && !about("step.ended", "nonsense"));
    }

    #[test]
    fn an_attempt_that_begins_anew_is_told_from_its_start() {
        let begun = |attempt, epoch| Begun { attempt, epoch, place: None };
        let (mut log, mut page) = (log(), Page::new(vec![Mark::Event(0)], 1 << 20));
        log.at = at(500);
        log.refresh(vec![begun(1, 1)], &mut page);
        assert!(page.is_empty());
        log.refresh(vec![begun(1, 2)], &mut page);
        assert_eq!(log.at, LogCursor::start(1, 2));
        assert!(written(&mut page).starts_with("event: gap\n"));
        log.refresh(vec![begun(1, 2), begun(2, 1)], &mut page);
        assert_eq!((log.at, log.begun.len()), (LogCursor::start(1, 2), 2));
        log.at = LogCursor::start(2, 1);
        log.refresh(vec![begun(1, 2), begun(2, 1)], &mut page);
        assert_eq!(log.begun.len(), 1, "what lies behind is forgotten");
        assert!(page.is_empty());
    }
}
