//! Everything that can happen to the loop.

use staunch_store::{Claims, Commit, Committed, Renewal, RunId, StoreError};

use crate::active::{CancelReply, Place};
use crate::attempt::Done;
use crate::dispatch::Shed;
use crate::load::{LoadError, Loaded};

/// What others ask of the loop.
pub(crate) enum Command {
    /// Stop a run.
    Cancel {
        /// Which.
        run: RunId,
        /// Without clean-up.
        force: bool,
        /// Who asks.
        reply: CancelReply,
    },
    /// Memory is nearly gone: cancel one.
    Shed(Shed),
}

/// What came of something that the loop set going.
pub(crate) enum Event {
    /// The store handed out attempts, or could not.
    Claimed {
        /// The slots that were set aside for them.
        reserved: u32,
        claims: Result<Claims, StoreError>,
    },
    /// A plan was rebuilt, or could not be.
    Loaded { run: RunId, loaded: Result<Box<Loaded>, LoadError> },
    /// A commit was recorded, or was not.
    Committed {
        commit: Box<Commit>,
        /// The slots that were set aside for what became ready.
        reserved: u32,
        answer: Result<Committed, StoreError>,
    },
    /// A run has waited for more of its attempts to end.
    Gathered { run: RunId },
    /// An attempt is over. `None`: it panicked.
    Attempted { run: RunId, place: Place, done: Option<Box<Done>> },
    /// The lease was renewed, or was not.
    Renewed(Result<Renewal, StoreError>),
    /// The worker has joined again under a new name.
    Joined(Result<(), StoreError>),
}
