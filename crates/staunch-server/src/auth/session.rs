//! Sessions in memory: found without the store, checked against it once a minute, each with its CSRF secrets.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use staunch_bounded::Counted;
use staunch_guard::csrf::{NoRandom, Random, Ring, SeededRandom, TTL_SECONDS, Token, Tokens, Verdict};
use staunch_store::{Accounts, Fingerprint, LiveSession, SessionHandle, Timestamp, UserId};

use super::caller::SessionCaller;
use super::known::{Found, Known, NotPut};
use crate::problem::{Code, Refusal};

/// A session is checked, and its idle end moved on, this often; so what is ended elsewhere is noticed.
const CHECK: Duration = Duration::from_secs(60);
/// How often the store is asked again because something was removed meanwhile, before the client is sent away for a second.
const TRIES: usize = 8;

/// Live sessions that this process has seen.
pub(crate) struct Sessions {
    known: Arc<Known<LiveSession, Ring>>,
    check: Duration,
    random: SeededRandom,
    started: Instant,
}

/// Random bytes that were drawn before a lock was taken.
struct Poured([u8; 32]);

impl Random for Poured {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        bytes.copy_from_slice(self.0.get(..bytes.len()).ok_or(NoRandom)?);
        Ok(())
    }
}

impl Sessions {
    /// At most `sessions_max`, each of which ends after `idle` without use.
    pub(crate) fn new(sessions_max: usize, idle: Duration) -> Result<Self, NoRandom> {
        Ok(Self {
            known: Arc::new(Known::new("sessions", sessions_max)),
            // A session in use must not end between two checks, however short its life is set.
            check: CHECK.min(idle / 4),
            random: SeededRandom::new()?,
            started: Instant::now(),
        })
    }

    /// Whole seconds since start, for the ages of CSRF secrets.
    pub(crate) fn seconds(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// The session of this key, if it lives and the store need not be asked.
    pub(crate) fn at_hand(&self, key: Fingerprint) -> Found<LiveSession> {
        self.known.get(key, Instant::now(), self.check)
    }

    /// The session of this key as the store has it; its use is noted there.
    pub(crate) async fn load(
        &self,
        key: Fingerprint,
        accounts: &dyn Accounts,
    ) -> Result<Option<SessionCaller>, Refusal> {
        for _ in 0..TRIES {
            let mark = self.known.mark();
            let Some(mut live) = accounts.session(key).await? else {
                self.known.lapse(key);
                return Ok(None);
            };
            if age(live.session.seen_at) >= self.check {
                if !accounts.touch_session(key).await? {
                    continue;
                }
                let Some(touched) = accounts.session(key).await? else { continue };
                live = touched;
            }
            let now = Instant::now();
            let ends = now + left(live.session.expires_at);
            match self.known.put(key, live, now, Some(ends), mark) {
                Ok((live, alive)) => return Ok(Some(SessionCaller { key, live, alive })),
                Err(NotPut::Removed) => {}
                Err(NotPut::Full) => break,
            }
        }
        Err(Refusal::new(Code::Busy).retry_after(Duration::from_secs(1)))
    }

    /// A CSRF token of a session that is in the table: the newest secret, masked anew; or a new secret.
    pub(crate) fn csrf_token(&self, key: Fingerprint, fresh: bool) -> Result<Token, Refusal> {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes).map_err(Refusal::internal)?;
        let (now, poured) = (self.seconds(), Poured(bytes));
        let issue = |ring: &mut Ring| {
            if fresh { ring.issue(now, &poured) } else { ring.current(now, TTL_SECONDS, &poured) }
        };
        match self.known.beside(key, issue) {
            Some(token) => token.map_err(Refusal::internal),
            // It ended since the request came.
            None => Err(Refusal::new(Code::SessionExpired)),
        }
    }

    /// Forgets a session and its secrets, after the store has.
    pub(crate) fn forget(&self, key: Fingerprint) {
        self.known.remove(key);
    }

    /// Forgets one by its handle, after the store has.
    pub(crate) fn forget_handle(&self, handle: SessionHandle) {
        self.known.remove_where(|live| live.session.handle == handle);
    }

    /// Forgets all of a user but one, after the store has, or so that what changed of the user is read again.
    pub(crate) fn forget_user(&self, user: UserId, keep: Option<SessionHandle>) {
        self.known.remove_where(|live| live.user.id == user && Some(live.session.handle) != keep);
    }

    /// Removes what has ended.
    pub(crate) fn sweep(&self) {
        self.known.sweep(Instant::now());
    }

    /// What a census counts of them.
    pub(crate) fn counted(&self) -> &Arc<impl Counted + use<>> {
        &self.known
    }
}

impl Tokens for Sessions {
    type Session = Fingerprint;

    fn verify(&self, session: &Fingerprint, token: &[u8], now: u32) -> Verdict {
        let verdict = self.known.beside(*session, |ring| ring.verify(token, now, TTL_SECONDS));
        verdict.unwrap_or(Verdict::Invalid)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("known", &self.known).finish_non_exhaustive()
    }
}

/// Milliseconds since 1970, as the store's clock has them.
fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How long until then; nothing if it is past.
pub(super) fn left(then: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(then.0.saturating_sub(wall())).unwrap_or(0))
}

fn age(then: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(wall().saturating_sub(then.0)).unwrap_or(0))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use staunch_store::{Role, SessionRow, UserRow};
    use uuid::Uuid;

    use super::*;
    use crate::auth::Caller;
    use crate::auth::tests::{Stand, stranger};
    use crate::config::ServerConfig;

    fn live(n: u128) -> LiveSession {
        let user = UserRow {
            id: UserId(Uuid::from_u128(n)),
            name: "ada".to_owned(),
            role: Role::Viewer,
            disabled: false,
            created_at: Timestamp(0),
            password_changed_at: Timestamp(0),
        };
        let session = SessionRow {
            handle: SessionHandle(Uuid::from_u128(n)),
            user: user.id,
            created_at: Timestamp(0),
            seen_at: Timestamp(0),
            expires_at: Timestamp(0),
            ends_at: Timestamp(0),
            label: String::new(),
            address: String::new(),
        };
        LiveSession { session, user }
    }

    #[tokio::test]
    async fn what_removes_nothing_undoes_no_check() {
        let Stand { auth, .. } = &Stand::new(&ServerConfig::default()).await;
        let (known, now) = (&auth.sessions.known, Instant::now());
        let mark = known.mark();
        assert!(auth.sessions.load(Fingerprint::of(b"stranger"), &*auth.accounts).await.unwrap().is_none());
        let nobody = UserId(Uuid::from_u128(1));
        assert_eq!(auth.revoke_sessions(nobody, None, &Caller::nobody(), &stranger()).await.unwrap(), 0);
        assert!(known.put(Fingerprint::of(b"1"), live(1), now, None, mark).is_ok());
        auth.sessions.forget(Fingerprint::of(b"another"));
        assert!(known.put(Fingerprint::of(b"2"), live(2), now, None, mark).is_err(), "a removal does");
    }

    #[test]
    fn a_csrf_token_lives_for_a_day_and_goes_with_its_session() {
        let sessions = Sessions::new(4, Duration::from_secs(3_600)).unwrap();
        let (one, two) = (Fingerprint::of(b"1"), Fingerprint::of(b"2"));
        for (n, key) in [(1, one), (2, two)] {
            sessions.known.put(key, live(n), Instant::now(), None, sessions.known.mark()).unwrap();
        }
        let token = sessions.csrf_token(one, false).unwrap();
        let verdict = |key, now| sessions.verify(&key, token.as_bytes(), now);
        assert_eq!(verdict(one, 0), Verdict::Valid);
        assert_eq!(verdict(one, TTL_SECONDS), Verdict::Expired);
        assert_eq!(verdict(two, 0), Verdict::Invalid);
        sessions.forget_user(live(1).user.id, Some(live(1).session.handle));
        assert_eq!(verdict(one, 0), Verdict::Valid, "the one that is kept is kept with its secrets");
        sessions.forget_handle(live(1).session.handle);
        assert_eq!(verdict(one, 0), Verdict::Invalid);
        assert_eq!(sessions.csrf_token(one, false).unwrap_err().code(), Code::SessionExpired);
        assert_eq!(sessions.counted().count().entries, Some((1, 4)));
    }
}
