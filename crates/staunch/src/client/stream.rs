//! Follows a run of a server: one live stream, taken up again where it broke off.

use std::io::{BufReader, Read};
use std::thread;
use std::time::{Duration, Instant};

use staunch_flow::RunOutcome;
use staunch_server::wire::{Event, GapEvent, LogEvent, LogPage, LogRecord, RunEvent};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::http::Client;
use super::sse::{Frame, Frames};
use super::topics::Topics;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::news::{News, of_event};
use crate::render::bytes;

/// News that wait for the terminal; a full channel makes the reader wait, and the server minds its slow client.
const NEWS_WAITING_MAX: usize = 64;

/// A connection lasts at least this long before other topics are worth another one.
const TOPICS_LAST: Duration = Duration::from_millis(200);

/// How long to wait before the second try to connect; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Tries in a row that bring nothing before the server counts as gone; about a minute.
const TRIES_MAX: u32 = 18;

/// The news of a run, read by a thread of its own: the client blocks, and the terminal must still hear Ctrl-C.
pub(crate) struct RemoteNews {
    news: Receiver<Result<News, Failure>>,
}

impl RemoteNews {
    /// Follows a run from its beginning.
    pub(crate) fn follow(client: Client, run: &str, wanted: Wanted) -> Result<Self, Failure> {
        let (sender, news) = mpsc::channel(NEWS_WAITING_MAX);
        let topics = match wanted {
            Wanted::Events => Topics::of_run(run, Vec::new()),
            Wanted::All(steps) => Topics::of_run(run, steps),
            Wanted::Step(step) => Topics::of_step(run, step),
        };
        let reader = Reader { client, run: run.to_owned(), topics, sender };
        // Not joined: it ends with the run's last news, or at the latest with the process, and holds nothing but a socket.
        thread::Builder::new()
            .name("news".to_owned())
            .spawn(move || reader.read())
            .map_err(|error| Failure::broken(format!("cannot start a thread: {error}")))?;
        Ok(Self { news })
    }

    /// The next piece of news; `None` after [`News::Over`]. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Option<News>, Failure> {
        self.news.recv().await.transpose()
    }

    /// As [`RemoteNews::next`], for a caller that may block.
    pub(crate) fn wait(&mut self) -> Result<Option<News>, Failure> {
        self.news.blocking_recv().transpose()
    }

    /// A piece of news that is here already.
    pub(crate) fn take(&mut self) -> Option<Result<News, Failure>> {
        self.news.try_recv().ok()
    }
}

/// What to follow of a run.
pub(crate) enum Wanted {
    /// Starts and ends.
    Events,
    /// Starts, ends, and what these steps say: all the run has.
    All(Vec<String>),
    /// Only what this step says.
    Step(String),
}

/// Why reading ended.
enum Stop {
    /// The run is over, or nobody listens any more.
    Done,
    /// The stream broke; whether anything had come.
    Broken {
        /// Whether at least one event had come.
        fed: bool,
    },
    /// The stream is to have other topics.
    Changed,
    /// It cannot go on.
    Failed(Failure),
}

struct Reader {
    client: Client,
    run: String,
    topics: Topics,
    sender: Sender<Result<News, Failure>>,
}

impl Reader {
    fn read(mut self) {
        let (mut pause, mut tries) = (PAUSE_MIN, 0);
        loop {
            match self.connect() {
                Stop::Done => return,
                Stop::Changed => continue,
                Stop::Broken { fed: true } => (pause, tries) = (PAUSE_MIN, 0),
                Stop::Broken { fed: false } if tries < TRIES_MAX => tries += 1,
                // It is gone for a while, or has no room for one more stream.
                Stop::Failed(failure) if is_passing(&failure) && tries < TRIES_MAX => tries += 1,
                Stop::Broken { fed: false } => {
                    let failure = Failure::new(Exit::Unreachable, "the server ends every stream of the run at once");
                    return self.fail(failure);
                }
                Stop::Failed(failure) => return self.fail(failure),
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn connect(&mut self) -> Stop {
        match self.client.events(&self.topics.names(), &self.topics.places()) {
            Ok(body) => self.stream(body),
            Err(failure) => Stop::Failed(failure),
        }
    }

    fn stream(&mut self, body: impl Read) -> Stop {
        let since = Instant::now();
        let mut frames = Frames::new(BufReader::new(body));
        let mut fed = false;
        loop {
            let Ok(Some(frame)) = frames.next() else { return Stop::Broken { fed } };
            fed = true;
            if let Some(id) = &frame.id {
                self.topics.seen(id);
            }
            if frame.event == "end" {
                return self.over();
            }
            if let Err(stop) = self.frame(&frame) {
                return stop;
            }
            if since.elapsed() >= TOPICS_LAST && self.topics.change() {
                return Stop::Changed;
            }
        }
    }

    /// The stream said that all is over; the run itself knows how.
    fn over(&self) -> Stop {
        match self.client.run(&self.run) {
            Ok(detail) => {
                let over = News::Over(detail.run.outcome.unwrap_or(RunOutcome::Failed));
                self.sender.blocking_send(Ok(over)).unwrap_or_default();
                Stop::Done
            }
            Err(failure) => Stop::Failed(failure),
        }
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), Stop> {
        // What cannot be read is of a later version, and no reason to stop.
        match frame.event.as_str() {
            "log" => match serde_json::from_str::<LogEvent>(&frame.data) {
                Ok(log) => self.send(output(log)),
                Err(_) => Ok(()),
            },
            "gap" => match serde_json::from_str::<GapEvent>(&frame.data) {
                Ok(gap) => self.send(left_out(&gap)),
                Err(_) => Ok(()),
            },
            _ => match serde_json::from_str::<RunEvent>(&frame.data) {
                Ok(event) => self.event(&event.event),
                Err(_) => Ok(()),
            },
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Stop> {
        match of_event(&event.name, &event.body, &[]) {
            // How the run ended is told by the stream's end, after the last line of every log.
            None | Some(News::Over(_)) => Ok(()),
            Some(news) => {
                let unheard = self.topics.told(&news);
                if let (News::Ended { step, attempt, .. }, true) = (&news, unheard) {
                    self.whole_log(step, *attempt)?;
                }
                self.send(news)
            }
        }
    }

    /// Tells what an attempt said that is over.
    fn whole_log(&self, step: &str, attempt: u32) -> Result<(), Stop> {
        let mut query = vec![("attempt", attempt.to_string())];
        loop {
            let page = match self.client.log(&self.run, step, &query) {
                Ok(page) => page,
                // What cannot be had is said in its place: the run itself goes on.
                Err(failure) => {
                    let what = format!("its output is not here: {}", failure.message);
                    return self.send(News::LeftOut { step: Some(step.to_owned()), what });
                }
            };
            of_page(step, &page).into_iter().try_for_each(|news| self.send(news))?;
            if page.end || page.records.is_empty() {
                return Ok(());
            }
            query = vec![("cursor", page.next)];
        }
    }

    /// Tells a piece of news, and waits until there is room for it.
    fn send(&self, news: News) -> Result<(), Stop> {
        self.sender.blocking_send(Ok(news)).map_err(|_| Stop::Done)
    }

    /// Tells why it cannot go on.
    fn fail(&self, failure: Failure) {
        // An error here means that nobody listens; then nobody needs to know.
        self.sender.blocking_send(Err(failure)).unwrap_or_default();
    }
}

/// Whether it may be better later.
fn is_passing(failure: &Failure) -> bool {
    matches!(failure.exit, Exit::Unreachable | Exit::Refused)
}

/// The news in a page of a step's log.
pub(crate) fn of_page(step: &str, page: &LogPage) -> Vec<News> {
    let gap = (page.gap > 0)
        .then(|| News::LeftOut { step: Some(step.to_owned()), what: format!("{} left out", bytes(page.gap)) });
    let output = |record: &LogRecord| News::Output {
        step: step.to_owned(),
        stream: record.stream,
        bytes: record.text.clone().into_bytes(),
    };
    gap.into_iter().chain(page.records.iter().map(output)).collect()
}

fn output(log: LogEvent) -> News {
    News::Output { step: log.step, stream: log.stream, bytes: log.text.into_bytes() }
}

fn left_out(gap: &GapEvent) -> News {
    let step = gap.topic.strip_prefix("log:").and_then(|rest| rest.split_once(':')).map(|(_, step)| step.to_owned());
    let what = match gap.bytes {
        Some(count) => format!("{} left out: {}", bytes(count), gap.reason),
        None => gap.reason.clone(),
    };
    News::LeftOut { step, what }
}
