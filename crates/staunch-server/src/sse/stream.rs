//! One live stream: round after round over what it follows.

use bytes::Bytes;
use futures_util::future::select_all;
use tokio::time::{Instant, sleep_until};

use super::follow::Follow;
use super::pace::Pace;
use super::page::Page;
use super::seat::Seat;
use super::topic::{Mark, Topic};
use crate::app::App;
use crate::auth::Leaves;
use crate::problem::Refusal;
use crate::wire::EndEvent;

/// How long a client shall wait before it comes again.
const RETRY_MS: u32 = 1_000;

/// A stream of events to one client.
pub(super) struct LiveStream {
    app: App,
    topics: Vec<String>,
    follows: Vec<Follow>,
    page: Page,
    pace: Pace,
    written: Instant,
    ended: bool,
    leaves: Leaves,
    _seat: Seat,
}

impl LiveStream {
    /// Begins to follow. Every run and step is known when this returns.
    pub(super) async fn open(
        app: App,
        places: Vec<(Topic, Mark)>,
        seat: Seat,
        leaves: Leaves,
    ) -> Result<Self, Refusal> {
        let mut follows: Vec<Follow> = Vec::new();
        let mut marks = Vec::new();
        let mut topics = Vec::new();
        for (i, (topic, mark)) in places.into_iter().enumerate() {
            topics.push(topic.to_string());
            marks.push(mark);
            let run = topic.run();
            let place = match follows.iter().position(|follow| follow.run() == run) {
                Some(place) => place,
                None => {
                    follows.push(Follow::begin(&app, run).await?);
                    follows.len() - 1
                }
            };
            follows[place].add(i, topic, mark)?;
        }
        let now = Instant::now();
        // Half, because the last piece put onto it may need as much again.
        let mut page = Page::new(marks, app.engine.limits().stream_bytes_max as usize / 2);
        page.retry(RETRY_MS);
        let pace = Pace::new(app.times.pace, now);
        Ok(Self { app, topics, follows, page, pace, written: now, ended: false, leaves, _seat: seat })
    }

    /// What to write next; `None` when the stream is over: its topics are, the caller's session is, the server stops, or the store failed.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let stop = self.app.engine.tasks().token().clone();
        let mut leaves = std::mem::replace(&mut self.leaves, Box::pin(std::future::pending()));
        let next = tokio::select! {
            () = stop.cancelled() => None,
            () = leaves.as_mut() => None,
            bytes = self.produce() => bytes,
        };
        self.leaves = leaves;
        next
    }

    async fn produce(&mut self) -> Option<Bytes> {
        loop {
            if !self.page.is_empty() {
                self.written = Instant::now();
                return Some(self.page.take());
            }
            if self.ended {
                return None;
            }
            if let Err(refusal) = self.round().await {
                tracing::error!("an event stream ended early: {}", refusal.secret().unwrap_or("refused"));
                return None;
            }
            if self.page.is_empty() && self.follows.iter().all(Follow::is_over) {
                self.page.say("end", &EndEvent { topics: self.topics.clone() });
                self.ended = true;
            }
            if self.page.is_empty() {
                self.wait().await;
            }
        }
    }

    /// Reads what is new, until the page is full.
    async fn round(&mut self) -> Result<(), Refusal> {
        for follow in &mut self.follows {
            if !self.page.is_full() {
                follow.advance(&self.app, &mut self.page).await?;
            }
        }
        Ok(())
    }

    /// Waits for something new, or for the time to show that the connection lives. A wake that was lost is made up for then.
    async fn wait(&mut self) {
        let ping = self.written + self.app.times.ping;
        let woken = select_all(self.follows.iter_mut().map(|follow| Box::pin(follow.changed())));
        let woken = tokio::select! {
            _ = woken => true,
            () = sleep_until(ping) => false,
        };
        if woken {
            let next = self.pace.next(Instant::now());
            sleep_until(next.min(ping)).await;
        } else {
            self.page.ping();
            self.follows.iter_mut().for_each(Follow::suspect);
        }
    }
}
