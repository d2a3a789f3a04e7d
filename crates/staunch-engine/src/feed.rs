//! Who wants to know that a run has moved on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use staunch_store::RunId;
use tokio::sync::watch;

/// Wakes subscribers. It carries no news itself: a subscriber reads events and logs by its own cursor from the store, so
/// a slow one costs nothing but its own place, and a lost wake is only a delay. It holds an entry for each run that somebody
/// watches and nothing for the others.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    // A std mutex: held for a look-up, never over an await, and taken on the runner's thread too.
    runs: Arc<Mutex<HashMap<RunId, watch::Sender<()>>>>,
}

/// A subscription to one run; ends when dropped.
#[derive(Debug)]
pub struct Watch {
    feed: Feed,
    run: RunId,
    // An Option only so that drop can let go of it before it counts who is left.
    news: Option<watch::Receiver<()>>,
}

impl Feed {
    /// Subscribes to a run: [`Watch::changed`] ends whenever it has new events or new output.
    pub fn watch(&self, run: RunId) -> Watch {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let news = runs.entry(run).or_insert_with(|| watch::Sender::new(())).subscribe();
        Watch { feed: self.clone(), run, news: Some(news) }
    }

    /// Whether somebody watches this run.
    pub fn is_watched(&self, run: RunId) -> bool {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&run)
    }

    /// Wakes those who watch this run.
    pub fn wake(&self, run: RunId) {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(news) = runs.get(&run) {
            news.send_replace(());
        }
    }

    /// How many runs are watched.
    pub fn len(&self) -> usize {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Watch {
    /// Waits until the run has moved since the last call; at once if it has already. May be dropped and called again.
    pub async fn changed(&mut self) {
        let moved = match &mut self.news {
            Some(news) => news.changed().await.is_ok(),
            None => false,
        };
        if !moved {
            // The sender lives as long as a receiver does, so this cannot be; a busy loop would be the worse answer.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut runs = self.feed.runs.lock().unwrap_or_else(PoisonError::into_inner);
        self.news = None;
        if runs.get(&self.run).is_some_and(|news| news.receiver_count() == 0) {
            runs.remove(&self.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Feed, RunId};

    #[tokio::test]
    async fn a_wake_reaches_every_watch_of_that_run_and_no_other() {
        let feed = Feed::default();
        let (one, two) = (RunId::generate(), RunId::generate());
        let (mut first, mut second, mut other) = (feed.watch(one), feed.watch(one), feed.watch(two));
        feed.wake(one);
        first.changed().await;
        second.changed().await;
        let stays = tokio::time::timeout(std::time::Duration::from_millis(5), other.changed()).await;
        assert!(stays.is_err(), "the other run did not move");
    }

    #[tokio::test]
    async fn nothing_is_held_for_a_run_that_nobody_watches() {
        let feed = Feed::default();
        let run = RunId::generate();
        feed.wake(run);
        assert_eq!(feed.len(), 0);
        let watches: Vec<_> = (0..100).map(|_| feed.watch(run)).collect();
        assert_eq!(feed.len(), 1);
        drop(watches);
        assert_eq!(feed.len(), 0);
    }

    #[tokio::test]
    async fn a_move_between_two_calls_is_not_missed() {
        let feed = Feed::default();
        let run = RunId::generate();
        let mut watch = feed.watch(run);
        feed.wake(run);
        feed.wake(run);
        watch.changed().await;
        feed.wake(run);
        watch.changed().await;
    }
}
