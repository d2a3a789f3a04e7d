//! Who wants to know that a run has moved on.

use staunch_store::RunId;

/// Wakes subscribers. It carries no news itself: a subscriber reads events and logs by its own cursor from the store, so
/// a slow one costs nothing but its own place, and a lost wake is only a delay.
#[derive(Debug, Default)]
pub struct Feed {}

/// A subscription to one run; ends when dropped.
#[derive(Debug)]
pub struct Watch {}

impl Feed {
    /// Subscribes to a run: [`Watch::changed`] ends whenever it has new events or new output.
    pub fn watch(&self, _run: RunId) -> Watch {
        Watch {}
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Watch {
    /// Waits until the run has moved since the last call; at once if it has already.
    pub async fn changed(&mut self) {
        std::future::pending::<()>().await;
    }
}
