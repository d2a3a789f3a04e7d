//! API tokens in memory: found without the store, checked against it once a minute.

use std::time::{Duration, Instant};

use staunch_engine::TOKENS_KNOWN_MAX;
use staunch_store::{Accounts, Fingerprint, LiveToken, TokenId, UserId};

use super::caller::TokenCaller;
use super::known::{Found, Known};
use super::session::left;
use crate::problem::{Code, Refusal};

/// How often a token is checked; so what is revoked elsewhere is noticed.
const CHECK: Duration = Duration::from_secs(60);
/// As for sessions.
const TRIES: usize = 8;

/// Tokens that this process has seen lately.
#[derive(Debug)]
pub(crate) struct ApiTokens {
    known: Known<LiveToken, ()>,
}

impl ApiTokens {
    /// None.
    pub(crate) fn new() -> Self {
        Self { known: Known::new(TOKENS_KNOWN_MAX as usize) }
    }

    /// The token of this fingerprint, if it works and the store need not be asked.
    pub(crate) fn at_hand(&self, key: Fingerprint) -> Found<LiveToken> {
        self.known.get(key, Instant::now(), CHECK)
    }

    /// The token of this fingerprint as the store has it; its use is noted there.
    pub(crate) async fn load(&self, key: Fingerprint, accounts: &dyn Accounts) -> Result<Option<TokenCaller>, Refusal> {
        for _ in 0..TRIES {
            let mark = self.known.mark();
            let Some(live) = accounts.token(key).await? else {
                self.known.remove(key);
                return Ok(None);
            };
            if !accounts.touch_token(live.token.id).await? {
                continue;
            }
            let now = Instant::now();
            let ends = live.token.expires_at.and_then(|at| now.checked_add(left(at)));
            if let Some((live, alive)) = self.known.put(key, live, now, ends, mark) {
                return Ok(Some(TokenCaller { live, alive }));
            }
        }
        Err(Refusal::new(Code::Busy).retry_after(Duration::from_secs(1)))
    }

    /// Forgets one, after the store has.
    pub(crate) fn forget(&self, id: TokenId) {
        self.known.remove_where(|live| live.token.id == id);
    }

    /// Forgets all of a user, after the store has, or so that what changed of the user is read again.
    pub(crate) fn forget_user(&self, user: UserId) {
        self.known.remove_where(|live| live.user.id == user);
    }

    /// Removes what has expired.
    pub(crate) fn sweep(&self) {
        self.known.sweep(Instant::now());
    }

    /// In memory now, at most, and how many had to go for others.
    pub(crate) fn count(&self) -> (usize, usize, u64) {
        let (len, max) = self.known.len();
        (len, max, self.known.evicted())
    }
}
