//! Authentication: who calls, and what they may do.
//!
//! A request is identified ([`identify`]) before anything else looks at it, passes the CSRF guard, and is let to its handler by the one
//! table of [`access`]. Handlers change accounts through [`Auth`] only, which sees each change through even if the client hangs up,
//! and forgets in memory what the store has forgotten, in the same step.

pub(crate) mod access;
mod audit;
mod caller;
mod change;
mod cookie;
mod forms;
pub(crate) mod identify;
mod known;
mod login;
mod mode;
mod password;
mod secret;
mod session;
mod setup;
mod sweep;
mod tally;
pub(crate) mod token;
mod tokens;
mod visitor;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use staunch_bounded::{Census, fault_point};
use staunch_engine::{Kind, Limits, Tasks};
use staunch_guard::Proxies;
use staunch_guard::csrf::{Counters, Origins, PreSession, SystemRandom};
use staunch_store::{Accounts, StoreError};
use tokio::sync::Semaphore;

pub(crate) use audit::Note;
pub(crate) use caller::{Caller, Leaves, Principal, SessionCaller};
pub(crate) use cookie::Cookies;
pub(crate) use login::Begun;
pub use password::{PasswordError, hash_password};
pub(crate) use session::Sessions;
pub use setup::{SETUP_TTL, SetupError, SetupTicket, open_setup};
pub(crate) use sweep::sweep;
pub(crate) use tally::Tally;
pub(crate) use visitor::{Peer, Visitor};

use self::access::Access;
use self::mode::Mode;
use self::password::Passwords;
use self::tokens::ApiTokens;
use crate::config::{BindError, Settings};
use crate::problem::{Code, Refusal};
use crate::rate::Throttle;

/// Changes of accounts that are seen through at once; more wait.
const CHANGES_MAX: usize = 64;
/// Runs that are submitted, run again or cancelled for a user at once; more wait. What each holds is its body, which is charged, and a
/// task of a few kilobytes; it is one whole group of the store's writes, so that none is smaller for want of them.
const DEEDS_MAX: usize = 256;

/// All that authentication knows and does.
pub(crate) struct Auth {
    /// What is remembered of users.
    pub(crate) accounts: Arc<dyn Accounts>,
    /// Sessions in memory.
    pub(crate) sessions: Arc<Sessions>,
    /// API tokens in memory.
    pub(crate) tokens: Arc<ApiTokens>,
    /// Passwords.
    pub(crate) passwords: Passwords,
    /// Rate limits.
    pub(crate) throttle: Throttle,
    /// Whether there is an admin.
    pub(crate) mode: Mode,
    /// The access table.
    pub(crate) access: Access,
    /// How cookies are called.
    pub(crate) cookies: Cookies,
    /// Where this server is.
    pub(crate) origins: Origins,
    /// What the CSRF guard counts.
    pub(crate) csrf: Arc<Counters>,
    /// What is counted here.
    pub(crate) tally: Tally,
    forms: PreSession,
    proxies: Proxies,
    idle: Duration,
    absolute: Duration,
    tasks: Tasks,
    changes: Arc<Semaphore>,
    deeds: Arc<Semaphore>,
}

impl Auth {
    /// Registers all containers.
    pub(crate) fn register(&self, census: &Census) {
        census.register(self.sessions.counted());
        census.register(self.tokens.counted());
        census.register(self.passwords.budget());
        self.throttle.register(census);
    }

    /// For these settings, with tasks of the engine.
    pub(crate) async fn new(
        accounts: Arc<dyn Accounts>,
        settings: Settings,
        limits: &Limits,
        tasks: &Tasks,
    ) -> Result<Self, BindError> {
        let no_random = |_| BindError::NoRandomness;
        let Settings { origins, secure, proxies, idle, absolute, throttle, local, .. } = settings;
        Ok(Self {
            mode: Mode::new(local, &*accounts).await?,
            accounts,
            sessions: Arc::new(Sessions::new(limits.sessions_max as usize, idle).map_err(no_random)?),
            tokens: Arc::new(ApiTokens::new()),
            passwords: Passwords::new(limits.passwords_at_once, tasks.clone()),
            throttle,
            access: Access::new(),
            cookies: Cookies::new(secure),
            origins,
            csrf: Arc::default(),
            tally: Tally::default(),
            forms: PreSession::new(&SystemRandom).map_err(no_random)?,
            proxies,
            idle,
            absolute,
            tasks: tasks.clone(),
            changes: Arc::new(Semaphore::new(CHANGES_MAX)),
            deeds: Arc::new(Semaphore::new(DEEDS_MAX)),
        })
    }

    /// Changes accounts in a task of its own, so that what must be forgotten in memory is forgotten also if the client hangs up between
    /// the store's commit and that. Whoever asks for it may have been let in long ago, before a body came and a password was hashed: if
    /// they are out by now, nothing is changed.
    async fn see_through<T, F, C>(&self, caller: &Caller, change: C) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        C: FnOnce(Arc<dyn Accounts>, Arc<Sessions>, Arc<ApiTokens>) -> F,
    {
        let room = Arc::clone(&self.changes).acquire_owned().await;
        let room = room.expect("never fails, because nobody closes this semaphore");
        if self.tasks.token().is_cancelled() {
            return Err(Refusal::new(Code::Stopping).retry_after(Duration::from_secs(5)));
        }
        let change = change(Arc::clone(&self.accounts), Arc::clone(&self.sessions), Arc::clone(&self.tokens));
        let caller = caller.clone();
        let task = self.tasks.spawn(Kind::Account, async move {
            let done = match fault_point!("server.account") {
                // Here, after all that is waited for, and right before the store's turn.
                Ok(()) if caller.is_out() => Err(caller.put_out()),
                Ok(()) => change.await.map_err(Refusal::from),
                Err(fault) => Err(StoreError::Failed(fault.to_string()).into()),
            };
            drop(room);
            done
        });
        match task.await {
            Ok(Some(done)) => done,
            _ => Err(Refusal::internal("a task panicked, or the runtime is going down")),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("mode", &self.mode).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
