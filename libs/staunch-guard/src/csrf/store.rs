//! A store of CSRF secrets for a server that has no session rows of its own to put a ring into.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use siphasher::sip128::SipHasher13;
use staunch_bounded::{Count, Counted, Policy};

use self::shard::Shard;
use self::slab::Key;
use super::caller::Tokens;
use super::random::{NoRandom, Random, SeededRandom, SystemRandom};
use super::token::{Drawn, Secret, Token};
use super::verdict::Verdict;

mod index;
mod shard;
mod slab;

/// A day: what a token lives by default (ground row G2).
pub const TTL_SECONDS: u32 = 24 * 60 * 60;
/// Sessions by default: 8.7 MiB when full, 139 bytes each.
pub const SESSIONS_MAX: usize = 65_536;

/// Locks at most: enough that a few dozen threads seldom meet.
const SHARDS_MAX: usize = 64;
/// Sessions of a shard at least, so that a small store is not cut into shards that fill up by chance.
const SHARD_SESSIONS_MIN: usize = 64;
/// Sessions of a shard at most: places are numbered by 16 bits, one of which means nowhere.
const SHARD_SESSIONS_MAX: usize = u16::MAX as usize - 1;
/// Sessions a sweep takes out while it holds a lock; a few tens of microseconds.
const POPS_A_LOCK: usize = 256;

/// How large a store may be, and how old what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Sessions held; from 1 to 4,194,176, and brought into that range. They are spread over up to 64 shards by their keys, and
    /// each shard has an equal part of the bound, so shards begin to be full when the whole is full to about nine tenths.
    pub sessions_max: usize,
    /// Seconds a token lives; at this age it is dead.
    pub ttl_seconds: u32,
    /// What happens to a session that finds its shard full of live ones.
    pub policy: Policy,
}

/// No token was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// There is no randomness. Answer 500.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
    /// There is no room, and the policy is to refuse. Answer 503.
    #[error("as many sessions hold CSRF tokens as there may be")]
    Full,
}

/// What a store holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Sessions held, expired ones that nobody has taken out included.
    pub sessions: u64,
    /// Sessions held at most.
    pub sessions_max: u64,
    /// Bytes held, the store's own included.
    pub bytes: u64,
    /// Bytes held at most.
    pub bytes_max: u64,
    /// Secrets issued.
    pub issued: u64,
    /// Sessions taken out since all their secrets were too old.
    pub expired: u64,
    /// Sessions taken out to make room.
    pub evicted: u64,
    /// Sessions that found no room.
    pub refused: u64,
}

/// Secrets of many sessions, five each, in fixed memory: 132 bytes a session and 4 to 7 of index.
///
/// The bound holds at insertion and age is looked at when reading; each issue takes out up to two dead sessions, and
/// [`CsrfStore::sweep`] more, at the cost of what it takes out. It spawns nothing: its owner calls `sweep` hourly, or never.
/// A session is known by a hash of its id under a key of the store's own, so ids may be of any length and content. It is up
/// to the caller to pass only ids that it has itself given out: whoever may pass any id takes the place of others.
///
/// ```
/// use staunch_guard::csrf::{CsrfStore, StoreLimits, Verdict};
/// let store = CsrfStore::new(StoreLimits::default())?;
/// let token = store.current(b"session 1", 0)?;
/// assert_eq!(store.verify(b"session 1", token.as_bytes(), 5), Verdict::Valid);
/// assert_eq!(store.verify(b"session 2", token.as_bytes(), 5), Verdict::Invalid);
/// store.rotate(b"session 1", b"session 3"); // at login
/// assert_eq!(store.verify(b"session 1", token.as_bytes(), 5), Verdict::Invalid);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CsrfStore<R = SeededRandom> {
    keys: (u64, u64),
    limits: StoreLimits,
    shelves: Box<[Shelf<R>]>,
    /// The shard the next sweep begins with, so that short sweeps come round.
    next: AtomicUsize,
    bytes_max: u64,
}

/// A shard, its lock, and the randomness for it, in cache lines of their own.
#[repr(align(64))]
struct Shelf<R> {
    random: R,
    shard: Mutex<Shard>,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self { sessions_max: SESSIONS_MAX, ttl_seconds: TTL_SECONDS, policy: Policy::EvictOldest }
    }
}

impl CsrfStore {
    /// An empty store. It allocates as sessions come, up to [`StoreStats::bytes_max`].
    ///
    /// # Errors
    /// [`NoRandom`]: there is no randomness for its key and its generators. Fatal at start-up.
    pub fn new(limits: StoreLimits) -> Result<Self, NoRandom> {
        let mut keys = [0; 16];
        SystemRandom.fill(&mut keys)?;
        Self::with_random(limits, keys, SeededRandom::new)
    }
}

impl<R: Random> CsrfStore<R> {
    /// An empty store whose key is `keys` and whose shards draw from what `random` makes, one each.
    ///
    /// # Errors
    /// What `random` says.
    pub fn with_random(
        limits: StoreLimits,
        keys: [u8; 16],
        mut random: impl FnMut() -> Result<R, NoRandom>,
    ) -> Result<Self, NoRandom> {
        let sessions_max = limits.sessions_max.clamp(1, SHARDS_MAX * SHARD_SESSIONS_MAX);
        let limits = StoreLimits { sessions_max, ..limits };
        let count = (sessions_max / SHARD_SESSIONS_MIN).clamp(1, SHARDS_MAX);
        let evicts = limits.policy == Policy::EvictOldest;
        let mut bytes_max = count * size_of::<Shelf<R>>();
        let mut shelves = Vec::with_capacity(count);
        for i in 0..count {
            let part = sessions_max / count + usize::from(i < sessions_max % count);
            bytes_max += Shard::bytes_max(part as u16);
            let shard = Mutex::new(Shard::new(part as u16, limits.ttl_seconds, evicts));
            shelves.push(Shelf { random: random()?, shard });
        }
        let [low, high] = super::token::words(&keys);
        Ok(Self {
            keys: (low, high),
            limits,
            shelves: shelves.into_boxed_slice(),
            next: AtomicUsize::new(0),
            bytes_max: bytes_max as u64,
        })
    }

    /// Gives a session a new secret, its sixth in place of its first. `now` is whole seconds since any moment, here and
    /// below; where it goes back, the latest one seen counts.
    ///
    /// # Errors
    /// [`IssueError`]; nothing has changed but that expired sessions may be gone.
    pub fn issue(&self, session: &[u8], now: u32) -> Result<Token, IssueError> {
        let (key, shelf) = self.place(session);
        // Before the lock: the generator may have to ask the operating system.
        let drawn = Drawn::new(&shelf.random)?;
        shelf.shard().issue(key, now, &drawn).ok_or(IssueError::Full)
    }

    /// The session's newest secret under a new mask while it is younger than half its life, else a new one. What a page or
    /// `GET /api/csrf` shows.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn current(&self, session: &[u8], now: u32) -> Result<Token, IssueError> {
        let (key, shelf) = self.place(session);
        let drawn = Drawn::new(&shelf.random)?;
        shelf.shard().current(key, now, &drawn).ok_or(IssueError::Full)
    }

    /// Whether the token is live for the session. It extends no life and allocates nothing.
    pub fn verify(&self, session: &[u8], token: &[u8], now: u32) -> Verdict {
        let secret = match Secret::unmasked(token) {
            Ok(secret) => secret,
            Err(verdict) => return verdict,
        };
        let (key, shelf) = self.place(session);
        shelf.shard().verify(key, &secret, now)
    }

    /// How many secrets of the session are live, 0 to 5.
    pub fn live(&self, session: &[u8], now: u32) -> usize {
        let (key, shelf) = self.place(session);
        shelf.shard().live(key, now)
    }

    /// Forgets a session: at logout, or when somebody ends it. Whether it was held; a second time it is not.
    pub fn revoke(&self, session: &[u8]) -> bool {
        let (key, shelf) = self.place(session);
        shelf.shard().revoke(key)
    }

    /// The session's id changes, as it must at login: tokens of before are dead under both ids, so that nobody can plant one
    /// (session fixation). The new id gets its first token when it asks for one. Says whether there was anything to forget.
    pub fn rotate(&self, old: &[u8], new: &[u8]) -> bool {
        // One lock after the other, never both: no order to keep, no deadlock.
        let was_old = self.revoke(old);
        let was_new = self.revoke(new);
        was_old || was_new
    }

    /// Takes out sessions all of whose secrets are too old, at most `max`, and says how many. Costs what it takes out, and a
    /// look at each shard; holds a lock for 256 of them at most. Call it hourly. Memory of a shard goes back when its last
    /// session is gone.
    pub fn sweep(&self, now: u32, max: usize) -> usize {
        let shards = self.shelves.len();
        // Relaxed: where a sweep begins is a matter of fairness only.
        let first = self.next.load(Ordering::Relaxed);
        let mut swept = 0;
        for i in (first..first + shards).map(|i| i % shards) {
            loop {
                let most = POPS_A_LOCK.min(max - swept);
                let mut shard = self.shelves[i].shard();
                let popped = shard.expire(now, most);
                shard.release();
                swept += popped;
                if popped < most || most == 0 {
                    break;
                }
            }
            if swept == max {
                self.next.store(i, Ordering::Relaxed);
                break;
            }
        }
        swept
    }

    /// What it holds and has done. Takes each lock in turn, so it is exact a shard, not a moment.
    pub fn stats(&self) -> StoreStats {
        let mut stats = StoreStats {
            sessions_max: self.limits.sessions_max as u64,
            bytes: size_of_val(&*self.shelves) as u64,
            bytes_max: self.bytes_max,
            ..StoreStats::default()
        };
        for shelf in &self.shelves {
            let shard = shelf.shard();
            stats.sessions += shard.len() as u64;
            stats.bytes += shard.bytes() as u64;
            stats.issued += shard.tally.issued;
            stats.expired += shard.tally.expired;
            stats.evicted += shard.tally.evicted;
            stats.refused += shard.tally.refused;
        }
        stats
    }

    /// The bounds it was made with.
    pub fn limits(&self) -> StoreLimits {
        self.limits
    }

    fn place(&self, session: &[u8]) -> (Key, &Shelf<R>) {
        let hash = SipHasher13::new_with_keys(self.keys.0, self.keys.1).hash(session);
        // The index uses the low end of the one half, the choice of a shard the high end of the other: a product in place of a
        // division.
        let shelf = ((u128::from(hash.h2) * self.shelves.len() as u128) >> 64) as usize;
        ([hash.h1, hash.h2], &self.shelves[shelf])
    }
}

impl<R> Shelf<R> {
    /// A poisoned lock is as good as any: no call on a shard panics midway, as none calls anything of others.
    fn shard(&self) -> MutexGuard<'_, Shard> {
        self.shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Random> Tokens for CsrfStore<R> {
    type Session = Bytes;

    fn verify(&self, session: &Bytes, token: &[u8], now: u32) -> Verdict {
        Self::verify(self, session, token, now)
    }
}

impl<R: Random> Counted for CsrfStore<R> {
    fn count(&self) -> Count {
        let stats = self.stats();
        Count {
            name: "csrf",
            entries: Some((stats.sessions, stats.sessions_max)),
            bytes: stats.bytes,
            bytes_max: stats.bytes_max,
            expired: stats.expired,
            evicted: stats.evicted,
            refused: stats.refused,
        }
    }
}

impl<R: Random> fmt::Debug for CsrfStore<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfStore").field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
