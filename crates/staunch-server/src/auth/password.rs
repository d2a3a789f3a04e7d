//! Passwords: hashed and verified by Argon2id, few at once, their memory paid for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use staunch_bounded::{Budget, fault_point};
use staunch_engine::{PASSWORD_BYTES, Tasks};
use staunch_guard::csrf::{Random, SystemRandom};
use staunch_store::PasswordHash;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::problem::{Code, Refusal};
use crate::wire::Secret;

/// Bytes of a password that is set. OWASP asks for 15 characters where there is no second factor, and for 8 where there is one; the
/// rate limits here are stricter than those it reckons with.
const BYTES_MIN: usize = 12;
/// More is refused before it is hashed.
const BYTES_MAX: usize = 256;

/// m, in KiB; what OWASP's password storage cheat sheet has first. [`PASSWORD_BYTES`] is this in bytes.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// How many wait for each turn there is: at 25 ms a hash the last has waited for 0.4 s.
const WAITERS_A_TURN: usize = 16;
/// How long a turn is waited for.
const WAIT: Duration = Duration::from_secs(5);
/// When to come again.
const RETRY: Duration = Duration::from_secs(2);

/// What a password is compared with if there is no such user, so that it takes as long: of these parameters, of no password known.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c3RhdW5jaCwgbm9ib2R5IQ$qZ7Zc0oH0i0cZ4v6l3b1p4y8mJ9xWn2sT5uRkEwQaLg";

/// Why a password cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too short or too long.
    #[error("it has {0} bytes; it takes {BYTES_MIN} to {BYTES_MAX}")]
    Length(usize),
    /// The operating system gave no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// It could not be hashed.
    #[error("it cannot be hashed: {0}")]
    Hash(String),
}

/// Hashes a password by Argon2id (19 MiB, 2 passes), for a store whose server is stopped: a server bounds how many it hashes at once.
/// Blocking, about 25 ms.
///
/// # Errors
/// [`PasswordError`].
pub fn hash_password(password: &Secret) -> Result<PasswordHash, PasswordError> {
    hashed(password.expose().as_bytes(), salt(password)?)
}

/// A new salt, for a password that may be set.
fn salt(password: &Secret) -> Result<[u8; SALT_BYTES], PasswordError> {
    let length = password.expose().len();
    if !(BYTES_MIN..=BYTES_MAX).contains(&length) {
        return Err(PasswordError::Length(length));
    }
    let mut salt = [0; SALT_BYTES];
    SystemRandom.fill(&mut salt).map_err(|_| PasswordError::NoRandomness)?;
    Ok(salt)
}

fn hashed(password: &[u8], salt: [u8; SALT_BYTES]) -> Result<PasswordHash, PasswordError> {
    let failed = |error: argon2::password_hash::Error| PasswordError::Hash(error.to_string());
    let hash = argon2().and_then(|argon2| argon2.hash_password_with_salt(password, &salt)).map_err(failed)?;
    Ok(PasswordHash::new(hash.to_string()))
}

/// All work with passwords.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    budget: Arc<Budget>,
    tasks: Tasks,
    hashes: Arc<AtomicU64>,
    refused: AtomicU64,
}

/// Counts one who waits for as long as they do, however it ends.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passwords {
    /// `at_once` are worked on at once, on threads of `tasks`.
    pub(crate) fn new(at_once: u32, tasks: Tasks) -> Self {
        let turns = at_once.max(1) as usize;
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            waiting: AtomicUsize::new(0),
            waiting_max: turns * WAITERS_A_TURN,
            budget: Budget::root("passwords", turns as u64 * PASSWORD_BYTES),
            tasks,
            hashes: Arc::new(AtomicU64::new(0)),
            refused: AtomicU64::new(0),
        }
    }

    /// A new password, hashed.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<PasswordHash, Refusal> {
        let refused = |error: PasswordError| match error {
            PasswordError::Length(_) => Refusal::new(Code::InvalidPassword).detail(error),
            error => Refusal::internal(error),
        };
        let salt = salt(password).map_err(refused)?;
        let password = bytes_of(password);
        self.in_turn(move || hashed(&password, salt)).await?.map_err(refused)
    }

    /// Whether a password is the one that was hashed. Without a hash it is not, and that takes as long.
    pub(crate) async fn verify(&self, password: &Secret, hash: Option<&PasswordHash>) -> Result<bool, Refusal> {
        if password.expose().len() > BYTES_MAX {
            // None of that length was ever set, whoever's it is.
            return Ok(false);
        }
        let password = bytes_of(password);
        let known = hash.is_some();
        let text = hash.map_or(NOBODY, PasswordHash::as_str).to_owned();
        let verified = self.in_turn(move || {
            let hash = phc::PasswordHash::new(&text)?;
            // The parameters stand in the hash. More memory than was paid for is not taken.
            let params = Params::try_from(&hash)?;
            if params.m_cost() > MEMORY_KIB {
                return Err(argon2::password_hash::Error::ParamsInvalid);
            }
            match argon2()?.verify_password(&password, &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        });
        Ok(verified.await?.map_err(Refusal::internal)? && known)
    }

    /// Waits for a turn and works on a thread that may block. The turn and the charge go with the work, so that a client that hangs up
    /// does not let more begin than there are turns.
    async fn in_turn<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let busy = || {
            self.refused.fetch_add(1, Ordering::Relaxed);
            Refusal::new(Code::PasswordsBusy).retry_after(RETRY)
        };
        let turn = {
            // Relaxed: the number bounds a queue, it guards nothing.
            let before = self.waiting.fetch_add(1, Ordering::Relaxed);
            let _waiting = Waiting(&self.waiting);
            if before >= self.waiting_max {
                return Err(busy());
            }
            let turn = tokio::time::timeout(WAIT, Arc::clone(&self.turns).acquire_owned()).await;
            turn.map_err(|_| busy())?.expect("never fails, because nobody closes this semaphore")
        };
        let charge = self.budget.try_reserve(PASSWORD_BYTES).map_err(|_| busy())?;
        fault_point!("server.password").map_err(Refusal::internal)?;
        let hashes = Arc::clone(&self.hashes);
        let work = move || {
            if let Err(fault) = fault_point!("server.hash") {
                panic!("{fault}");
            }
            let done = work();
            hashes.fetch_add(1, Ordering::Relaxed);
            drop((charge, turn));
            done
        };
        let done = self.tasks.blocking(work).await;
        done.ok_or_else(|| Refusal::internal("a thread panicked, or the runtime is going down"))
    }

    /// Makes the queue full for as long as this is held.
    #[cfg(test)]
    pub(crate) fn crowd(&self) -> impl Sized {
        let wait = |_| {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            Waiting(&self.waiting)
        };
        (0..self.waiting_max).map(wait).collect::<Vec<_>>()
    }

    /// How often Argon2 was run.
    pub(crate) fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    /// How often there was no turn.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// What pays for the memory.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

fn argon2() -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn bytes_of(password: &Secret) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(password.expose().as_bytes().to_vec())
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("hashes", &self.hashes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_verified_and_nobodys_is_not_and_all_is_paid_back() {
        let passwords = Passwords::new(2, Tasks::new());
        let right = Secret::new("correct horse battery");
        let hash = passwords.hash(&right).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert!(passwords.verify(&right, Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&Secret::new("wrong"), Some(&hash)).await.unwrap());
        assert_eq!(passwords.hashes(), 3);
        assert!(!passwords.verify(&right, None).await.unwrap());
        assert_eq!(passwords.hashes(), 4, "a user there is not takes the same work");
        assert_eq!((passwords.budget().used(), passwords.budget().peak()), (0, PASSWORD_BYTES));
        assert_eq!(u64::from(MEMORY_KIB) << 10, PASSWORD_BYTES);
    }

    #[tokio::test]
    async fn passwords_have_bounds_and_so_have_stored_parameters() {
        let passwords = Passwords::new(1, Tasks::new());
        for length in [0, 11, 257] {
            let refusal = passwords.hash(&Secret::new("x".repeat(length))).await.unwrap_err();
            assert_eq!(refusal.code(), Code::InvalidPassword);
        }
        assert!(!passwords.verify(&Secret::new("x".repeat(257)), None).await.unwrap());
        assert_eq!(passwords.hashes(), 0);
        let greedy = PasswordHash::new(NOBODY.replace("m=19456", "m=1000000"));
        assert_eq!(passwords.verify(&Secret::new("x"), Some(&greedy)).await.unwrap_err().code(), Code::Internal);
    }

    // Time stands still while a hash is made on a thread that blocks, so that none who waits gives up on a busy machine.
    #[tokio::test(start_paused = true)]
    async fn who_finds_the_queue_full_is_told_when_to_come_again() {
        let passwords = Passwords::new(1, Tasks::new());
        let password = Secret::new("correct horse battery");
        let all = (0..40).map(|_| passwords.verify(&password, None));
        let all = futures_util::future::join_all(all).await;
        let refused = all.iter().filter(|one| one.is_err()).count();
        assert!((40 - 2 - WAITERS_A_TURN..=40 - WAITERS_A_TURN).contains(&refused), "{refused}");
        assert_eq!(passwords.refused(), refused as u64);
        assert_eq!(passwords.budget().used(), 0);
    }
}
