//! Follows a run to its end: news to the terminal, Ctrl-C and the timeout to the run.

use std::future::{pending, ready};
use std::pin::pin;
use std::time::Duration;

use staunch_engine::{CancelError, Engine};
use staunch_flow::{Outcome, RunOutcome};
use staunch_server::wire::{RunDetail, Step};
use staunch_store::{Results, RunId};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::client::{Client, RemoteNews, Wanted, of_page};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::local::{self, LocalNews, refused};
use crate::news::News;
use crate::render::{Live, Terminal};

/// A local run is its own client, and the object it prints has the output of every step.
const ALL_RESULTS: Results = Results::UpTo { bytes: u64::MAX };

/// How often the progress line moves by itself.
const TICK: Duration = Duration::from_millis(120);

/// The first interrupt cancels, the second one forces, and whoever sends one more will not wait.
const PATIENCE: u32 = 2;

/// A timeout longer than this is none.
const TIMEOUT_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A run that is followed, here or on a server.
pub(crate) enum Followed {
    /// It runs in this process.
    Local(Engine, RunId),
    /// It runs on a server.
    Remote(Client, String),
}

/// Where its news come from.
pub(crate) enum Source {
    /// This process.
    Local(Box<LocalNews>),
    /// A server.
    Remote(RemoteNews),
}

/// How following ended.
pub(crate) struct Ending {
    /// The run, as it was at the end.
    pub(crate) detail: RunDetail,
    /// What the shell shall see.
    pub(crate) exit: Exit,
}

impl Followed {
    /// The run as it is now.
    pub(crate) async fn detail(&self) -> Result<RunDetail, Failure> {
        match self {
            Self::Local(engine, run) => {
                let view = engine.view(*run, ALL_RESULTS).await.map_err(|error| refused(&error))?;
                view.map(RunDetail::from).ok_or_else(|| Failure::not_found(format!("there is no run {run}")))
            }
            // Blocking, and nothing else waits for this thread: the reader of the news has one of its own.
            Self::Remote(client, run) => client.run(run),
        }
    }

    /// Its news from the beginning, with what its steps say if `output`.
    pub(crate) fn news(&self, detail: &RunDetail, output: bool) -> Result<Source, Failure> {
        Ok(match self {
            Self::Local(engine, run) => Source::Local(Box::new(LocalNews::follow(engine, *run, detail, output))),
            Self::Remote(client, run) => {
                let steps = || detail.steps.iter().map(|step| step.id.clone()).collect();
                let wanted = if output { Wanted::All(steps()) } else { Wanted::Events };
                Source::Remote(RemoteNews::follow(client.clone(), run, wanted)?)
            }
        })
    }

    /// The last lines of what a step said in its last attempt.
    pub(crate) async fn tail(&self, detail: &RunDetail, step: &Step, lines: u32) -> Result<Vec<News>, Failure> {
        match self {
            Self::Local(engine, run) => {
                let place = detail.steps.iter().position(|other| other.id == step.id);
                let attempt = step.attempts.last().map(|attempt| (attempt.attempt, attempt.epoch));
                let (Some(place), Some(attempt)) = (place, attempt) else { return Ok(Vec::new()) };
                local::tail(engine, *run, (place, &step.id), attempt, lines as usize)
                    .await
                    .map_err(|error| refused(&error))
            }
            Self::Remote(client, run) => {
                let page = client.log(run, &step.id, &[("tail", lines.to_string())])?;
                Ok(of_page(&step.id, &page))
            }
        }
    }

    /// Asks it to stop. A run that is over already, or will never be, is not asked.
    async fn cancel(&self, force: bool) -> Result<(), Failure> {
        match self {
            Self::Local(engine, run) => match engine.cancel(*run, force).await {
                Ok(()) | Err(CancelError::Over(_)) => Ok(()),
                Err(error) => Err(Failure::broken(error.to_string())),
            },
            Self::Remote(client, run) => match client.cancel(run, force) {
                // It ended meanwhile: the news of that are on their way.
                Err(failure) if failure.exit == Exit::Failed => Ok(()),
                answer => answer,
            },
        }
    }
}

impl Source {
    /// The next piece of news; `None` after the last.
    async fn next(&mut self) -> Result<Option<News>, Failure> {
        match self {
            Self::Local(news) => news.next().await,
            Self::Remote(news) => news.next().await,
        }
    }
}

/// What people and clocks do to a run that is followed.
struct Pressure {
    interrupts: u32,
    timed_out: bool,
    deadline: Option<Instant>,
    signals: Interrupts,
}

impl Pressure {
    fn new(timeout: Option<Duration>, signals: Interrupts) -> Self {
        let deadline = timeout.filter(|timeout| *timeout < TIMEOUT_MAX).map(|timeout| Instant::now() + timeout);
        Self { interrupts: 0, timed_out: false, deadline, signals }
    }

    /// Waits for the next sign that the run shall stop, and says what to tell people and whether to force it.
    async fn stop(&mut self) -> (&'static str, bool) {
        let deadline = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.signals.next() => self.interrupts += 1,
            () = deadline => {
                self.deadline = None;
                self.timed_out = true;
                return ("timed out: cancelling; clean-up steps still run", false);
            }
        }
        match self.interrupts {
            1 => ("cancelling; clean-up steps still run (again: without them)", false),
            _ => ("cancelling without clean-up", true),
        }
    }

    fn exit(&self, outcome: RunOutcome) -> Exit {
        match outcome {
            _ if self.interrupts > 0 => Exit::Interrupted,
            _ if self.timed_out => Exit::TimedOut,
            outcome => Exit::of(outcome),
        }
    }
}

/// Follows a run until it is over.
pub(crate) async fn follow(
    run: &Followed,
    mut source: Source,
    mut live: Live,
    terminal: &mut Terminal,
    timeout: Option<Duration>,
    signals: Interrupts,
) -> Result<Ending, Failure> {
    let mut pressure = Pressure::new(timeout, signals);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut outcome = None;
    while outcome.is_none() {
        // Pinned across the other branches: what it has read must not be lost when one of them comes first.
        let mut next = pin!(source.next());
        let news = loop {
            tokio::select! {
                biased;
                news = &mut next => break news,
                // Lines are handed on together, but never while there is nothing else to do.
                () = ready(()), if terminal.is_behind() => terminal.flush(),
                (said, force) = pressure.stop() => {
                    live.say(terminal, said);
                    if pressure.interrupts > PATIENCE {
                        return Err(Failure::new(Exit::Interrupted, "left without waiting for the run's end"));
                    }
                    run.cancel(force).await?;
                }
                _ = ticks.tick(), if live.ticks() => live.tick(),
            }
        };
        match news? {
            Some(News::Over(over)) => outcome = Some(over),
            Some(news) => live.news(terminal, &news),
            None => return Err(Failure::broken("the news of the run ended before the run did")),
        }
    }
    live.finish(terminal);
    let exit = outcome.map_or(Exit::Failed, |outcome| pressure.exit(outcome));
    Ok(Ending { detail: run.detail().await?, exit })
}

/// Whether a step counts as failed.
pub(crate) fn is_failed(step: &Step) -> bool {
    let bad =
        matches!(step.outcome, Some(Outcome::Failed | Outcome::TimedOut | Outcome::Leaked | Outcome::Interrupted));
    bad && !step.forgiven
}
