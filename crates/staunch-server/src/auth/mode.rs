//! Open or closed: whether whoever is on this machine is an admin, because there is none yet.

use std::sync::atomic::{AtomicBool, Ordering};

use staunch_store::{Accounts, StoreError};
use tokio_util::sync::CancellationToken;

/// Open as long as there is no admin, if the server is for this machine only. It becomes closed once, and stays so.
#[derive(Debug)]
pub(crate) struct Mode {
    closed: CancellationToken,
    /// Whether an attempt to make the first admin ended without word of what became of it: then the store is asked each time.
    unsure: AtomicBool,
}

impl Mode {
    /// As the store has it; `local` is whether the server listens on loopback and nothing says that it is known elsewhere.
    pub(crate) async fn new(local: bool, accounts: &dyn Accounts) -> Result<Self, StoreError> {
        let mode = Self { closed: CancellationToken::new(), unsure: AtomicBool::new(false) };
        if !local || accounts.has_admin().await? {
            mode.close();
        }
        Ok(mode)
    }

    /// Whether it is open now.
    pub(crate) async fn is_open(&self, accounts: &dyn Accounts) -> Result<bool, StoreError> {
        // Relaxed: a flag that is set before the answer that tells of it; nothing else hangs on it.
        if !self.closed.is_cancelled() && self.unsure.load(Ordering::Relaxed) && accounts.has_admin().await? {
            self.close();
        }
        Ok(!self.closed.is_cancelled())
    }

    /// Whether it is open, as far as is known without asking.
    pub(crate) fn seems_open(&self) -> bool {
        !self.closed.is_cancelled()
    }

    /// There is an admin.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    /// There may be an admin.
    pub(crate) fn doubt(&self) {
        self.unsure.store(true, Ordering::Relaxed);
    }

    /// Cancelled when it is closed.
    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }
}
