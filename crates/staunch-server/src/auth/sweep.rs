//! Removing what has expired: a courtesy. Nothing that is over is believed, swept or not.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Auth;

/// How often tables of rate limits are gone through, and sessions and tokens in memory: an event stream of one that has expired ends
/// then, if nobody has asked with it since.
const ROUND: Duration = Duration::from_secs(5 * 60);
/// How many of these make the hour after which accounts in the store are.
const ROUNDS: u32 = 12;
/// Rows that the store removes in one transaction.
const ROWS: u32 = 500;

/// Sweeps until it is told to stop.
pub(crate) async fn sweep(auth: Arc<Auth>, stop: CancellationToken) {
    let mut round = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
        auth.throttle.sweep().await;
        auth.sessions.sweep();
        auth.tokens.sweep();
        round = (round + 1) % ROUNDS;
        if round == 0 && !stop.is_cancelled() {
            auth.sweep_accounts(&stop).await;
        }
    }
}

impl Auth {
    /// Removes what has expired in memory and in the store.
    pub(crate) async fn sweep_accounts(&self, stop: &CancellationToken) {
        self.sessions.sweep();
        self.tokens.sweep();
        while !stop.is_cancelled() {
            match self.accounts.sweep_accounts(ROWS).await {
                Ok(swept) if swept.more => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!("expired sessions and tokens stay for another hour: {error}");
                    return;
                }
            }
        }
    }
}
