//! What the audit log hears of runs.

use staunch_store::AuditEntry;

use super::Auth;
use super::caller::Caller;
use super::visitor::Visitor;

impl Auth {
    /// Notes what a user did to the run `about`, after it was done. What the local caller does is not noted: before there is an admin
    /// everybody on this machine is the same one. A note that cannot be kept is told in the server's log, and undoes nothing.
    pub(crate) async fn note_run(
        &self,
        caller: &Caller,
        visitor: &Visitor,
        action: &'static str,
        about: String,
        detail: String,
    ) {
        if caller.user().is_none() {
            return;
        }
        let entry = AuditEntry { actor: caller.actor(visitor), action, about, detail };
        // Of what was done: also if they are out since.
        let nobody = Caller::nobody();
        let noted = self.see_through(&nobody, move |accounts, _, _| async move { accounts.audit(entry).await });
        if let Err(refusal) = noted.await {
            tracing::warn!(action, code = refusal.code().word(), "the audit log could not be written");
        }
    }
}
