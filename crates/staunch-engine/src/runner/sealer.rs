//! Seals logs on a thread of its own: a slow disk must not keep the runner's thread from draining pipes.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use staunch_bounded::fault_point;

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
        fault_point!("sealer.thread")?;
        let thread = thread::Builder::new().name("staunch-sealer".into()).spawn(move || work(&receiver, &inbox))?;
        Ok(Self { sender, thread })
    }

    /// Takes over a step that is over; [`super::inbox::Posted::sealed`] tells when it is done. The step comes back if there is no room, or
    /// if the thread is gone.
    pub(super) fn seal(&self, over: Over) -> Option<Over> {
        self.sender.try_send(over).err().map(|error| match error {
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
        over.seal();
        inbox.post(|posted| posted.sealed += 1);
    }
}
