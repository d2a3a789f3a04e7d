//! What the audit log hears of runs.

use std::sync::Arc;

use staunch_bounded::fault_point;
use staunch_engine::Kind;
use staunch_store::{AuditEntry, StoreError};

use super::Auth;
use super::caller::Caller;
use super::visitor::Visitor;
use crate::problem::Refusal;

/// What was done to a run.
#[derive(Debug)]
pub(crate) struct Note {
    /// What.
    pub(crate) action: &'static str,
    /// To which.
    pub(crate) about: String,
    /// What else there is to say.
    pub(crate) detail: String,
}

impl Auth {
    /// Does something to a run, and notes it if there is something to note, both in a task of its own: of a run that a user asked for
    /// it is told who that was, also if the client hangs up in between. What the local caller does is not noted: before there is an admin
    /// everybody on this machine is the same one. A note that cannot be kept is told in the server's log, and undoes nothing.
    pub(crate) async fn noted<T, D>(&self, caller: &Caller, visitor: &Visitor, deed: D) -> Result<T, Refusal>
    where
        T: Send + 'static,
        D: Future<Output = Result<(T, Option<Note>), Refusal>> + Send + 'static,
    {
        if caller.user().is_none() {
            return deed.await.map(|(done, _)| done);
        }
        let room = Arc::clone(&self.deeds).acquire_owned().await;
        let room = room.expect("never fails, because nobody closes this semaphore");
        let (caller, actor, accounts) = (caller.clone(), caller.actor(visitor), Arc::clone(&self.accounts));
        let task = self.tasks.spawn(Kind::Account, async move {
            if caller.is_out() {
                return Err(caller.put_out());
            }
            let (done, note) = deed.await?;
            if let Some(Note { action, about, detail }) = note {
                let noted = match fault_point!("server.note") {
                    Ok(()) => accounts.audit(AuditEntry { actor, action, about, detail }).await,
                    Err(fault) => Err(StoreError::from(fault)),
                };
                if let Err(error) = noted {
                    tracing::warn!(action, %error, "the audit log could not be written");
                }
            }
            drop(room);
            Ok(done)
        });
        match task.await {
            Ok(Some(done)) => done,
            _ => Err(Refusal::internal("a task panicked, or the runtime is going down")),
        }
    }
}
