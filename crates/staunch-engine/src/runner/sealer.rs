//! Seals logs on a thread of its own: a slow disk must not keep the runner's thread from draining pipes.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use super::inbox::Inbox;
use super::live::Over;

/// The thread, and the way to it.
pub(super) struct Sealer {
    sender: SyncSender<Over>,
    thread: JoinHandle<()>,
}

impl Sealer {
    /// Starts the thread. At most `steps_max` logs wait for it: no more steps are active.
    ///
    /// # Errors
    /// The thread cannot be had.
    pub(super) fn start(steps_max: usize, inbox: Arc<Inbox>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(steps_max);
        let thread = thread::Builder::new().name("staunch-sealer".into()).spawn(move || work(&receiver, &inbox))?;
        Ok(Self { sender, thread })
    }

    /// Takes over a step that is over. [`super::inbox::Posted::sealed`] tells when it is done.
    ///
    /// # Errors
    /// There is no room, or the thread is gone: the step comes back.
    pub(super) fn seal(&self, over: Over) -> Result<(), Over> {
        self.sender.try_send(over).map_err(|error| match error {
            TrySendError::Full(over) | TrySendError::Disconnected(over) => over,
        })
    }

    /// Seals what waits, then ends.
    pub(super) fn close(self) {
        drop(self.sender);
        // A panic there was told by its own message; the steps it held are answered by their dropped senders.
        self.thread.join().ok();
    }
}

fn work(receiver: &Receiver<Over>, inbox: &Inbox) {
    while let Ok(over) = receiver.recv() {
        seal(over);
        inbox.post(|posted| posted.sealed += 1);
    }
}

/// Seals the log, here and now, and tells whoever waits for the step.
pub(super) fn seal(mut over: Over) {
    if let Some(log) = over.log.take() {
        over.exit.log = log.seal();
    }
    over.tell();
}
