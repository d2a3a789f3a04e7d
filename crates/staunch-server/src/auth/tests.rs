//! Authentication over a real store, without a socket.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use staunch_bounded::Counted;
use staunch_engine::TOKENS_KNOWN_MAX;
use staunch_store::{
    Actor, Durability, Fingerprint, NewToken, NewUser, PasswordHash, Role, Scope, Sqlite, TokenCreated, UserCreated,
    UserRow,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::visitor::Charged;
use super::*;
use crate::config::ServerConfig;
use crate::problem::Code;
use crate::rate::{Payer, Rates, Rule};
use crate::wire::{self, Secret};

/// Authentication, and what it stands on.
pub(super) struct Stand {
    pub(super) auth: Auth,
    tasks: Tasks,
    _data: TempDir,
}

impl Stand {
    pub(super) async fn new(config: &ServerConfig) -> Self {
        Self::with(config, Limits::default()).await
    }

    async fn with(config: &ServerConfig, limits: Limits) -> Self {
        let data = TempDir::new().unwrap();
        let store = Arc::new(Sqlite::open(data.path(), limits.store(), Durability::Off).unwrap());
        let tasks = Tasks::new();
        let auth = Auth::new(store, Settings::of(config).unwrap(), &limits, &tasks).await.unwrap();
        Self { auth, tasks, _data: data }
    }

    async fn user(&self) -> UserRow {
        self.user_called("ada").await
    }

    async fn user_called(&self, name: &str) -> UserRow {
        self.user_with(name, PasswordHash::new("$argon2id$none")).await
    }

    async fn user_with(&self, name: &str, password: PasswordHash) -> UserRow {
        let user = NewUser { name: name.into(), role: Role::Admin, password };
        let created = self.auth.accounts.create_user(user, Actor::server()).await.unwrap();
        let UserCreated::Created(user) = created else { panic!("{created:?}") };
        user
    }

    async fn begin(&self, user: &UserRow) -> Begun {
        self.auth.begin(user, &stranger()).await.unwrap()
    }

    /// Whoever calls with a new token of scope admin.
    async fn token(&self, user: &UserRow, number: u8) -> Caller {
        let hash = Fingerprint::of(&[number]);
        let new = NewToken {
            user: user.id,
            name: "t".into(),
            shown: "stn_".into(),
            hash,
            scope: Scope::Admin,
            ttl: None,
            no_later: None,
        };
        self.auth.accounts.create_token(new, Actor::server()).await.unwrap();
        let token = self.auth.tokens.load(hash, &*self.auth.accounts).await.unwrap().unwrap();
        Caller { principal: Principal::Token(token), expired: false }
    }
}

/// Somebody of whom nothing is known.
pub(super) fn stranger() -> Visitor {
    Visitor { client: None, label: String::new(), claimed: None, charged: Charged::default() }
}

/// What a session is looked up by.
fn key_of(begun: &Begun) -> Fingerprint {
    secret::fingerprint(begun.cookie.to_str().unwrap().split(['=', ';']).nth(1).unwrap()).unwrap()
}

/// Somebody who has just sent a request that was charged.
fn visitor(auth: &Auth) -> Visitor {
    let charged = Charged::new(auth.throttle.charge(Rule::Login, Payer::Address(None)).unwrap());
    Visitor { client: None, label: String::new(), claimed: None, charged }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap_or_else(|_| panic!("it never came: {what}"));
}

/// Sessions in memory.
fn in_memory(auth: &Auth) -> u64 {
    auth.sessions.counted().count().entries.unwrap().0
}

/// The default quotas, three passwords given again and twenty logins a name, and five an address which do not come back meanwhile.
#[tokio::test]
async fn a_password_that_nobody_had_time_to_judge_costs_no_try() {
    let rates = Rates { login: "5/1h".parse().unwrap(), ..Rates::default() };
    let stand = Stand::new(&ServerConfig { rates, ..ServerConfig::default() }).await;
    let auth = &stand.auth;
    let user = stand.user_with("ada", auth.passwords.hash(&Secret::new("correct horse battery")).await.unwrap()).await;
    let key = key_of(&stand.begin(&user).await);
    let session = auth.sessions.load(key, &*auth.accounts).await.unwrap().unwrap();
    let caller = Caller { principal: Principal::Session(session), expired: false };
    let (right, wrong) = (Secret::new("correct horse battery"), Secret::new("wrong horse battery"));
    let prove =
        async |password: &Secret| auth.prove_again(&caller, Some(password), &stranger()).await.map_err(|e| e.code());
    let login = async |password: &Secret| {
        let visitor = visitor(auth);
        let code = auth.login("ada", password, &visitor).await.map(|_| ()).map_err(|refusal| refusal.code());
        // As the middleware does.
        (code, visitor.charged.take().map(|charge| auth.throttle.refund(charge)).is_some())
    };
    let crowd = auth.passwords.crowd();
    for _ in 0..30 {
        assert_eq!(prove(&right).await, Err(Code::PasswordsBusy));
        assert_eq!(login(&right).await, (Err(Code::PasswordsBusy), true));
    }
    drop(crowd);
    for _ in 0..3 {
        assert_eq!(prove(&wrong).await, Err(Code::WrongPassword));
    }
    assert_eq!(prove(&right).await, Err(Code::QuotaExceeded));
    assert_eq!(login(&right).await, (Ok(()), true));
    for _ in 0..5 {
        assert_eq!(login(&wrong).await, (Err(Code::LoginFailed), false));
    }
    assert!(auth.throttle.charge(Rule::Login, Payer::Address(None)).is_err());
}

/// The store has room, since it was told of an end that this process was not; in memory there is none, since the ended one is in use.
#[tokio::test]
async fn a_login_that_fails_after_its_session_began_ends_it() {
    let limits = Limits { sessions_max: 1, ..Limits::default() };
    let stand = Stand::with(&ServerConfig::default(), limits).await;
    let (auth, user) = (&stand.auth, stand.user().await);
    let key = key_of(&stand.begin(&user).await);
    let in_use = auth.sessions.load(key, &*auth.accounts).await.unwrap().unwrap();
    assert!(auth.accounts.end_session(key, Actor::server()).await.unwrap());
    let sessions = async || auth.accounts.account_usage().await.unwrap().sessions;
    assert_eq!(auth.begin(&user, &visitor(auth)).await.unwrap_err().code(), Code::Busy);
    assert_eq!(sessions().await, 0);
    drop(in_use);
    stand.begin(&user).await;
    assert_eq!(sessions().await, 1);
}

/// One more than there are rows in memory; an event stream and a body under way hold what `alive` holds.
#[tokio::test]
async fn a_token_in_use_is_put_out_by_its_revocation_and_not_by_a_thousand_others() {
    let stand = Stand::new(&ServerConfig::default()).await;
    let auth = &stand.auth;
    let mut callers = Vec::new();
    for n in 0..TOKENS_KNOWN_MAX + 1 {
        let name = format!("u{}", n / 50);
        let found = auth.accounts.credentials(&name).await.unwrap();
        let user = match found {
            Some(found) => found.user,
            None => stand.user_called(&name).await,
        };
        let hash = Fingerprint::of(&n.to_le_bytes());
        let new = NewToken {
            user: user.id,
            name: "t".into(),
            shown: "s".into(),
            hash,
            scope: Scope::Run,
            ttl: None,
            no_later: None,
        };
        let created = auth.accounts.create_token(new, Actor::server()).await.unwrap();
        assert!(matches!(created, TokenCreated::Created(_)), "{created:?}");
        let caller = auth.tokens.load(hash, &*auth.accounts).await.unwrap().unwrap();
        if callers.is_empty() {
            callers.push(caller);
        }
    }
    let counted = auth.tokens.counted().count();
    assert_eq!((counted.entries, counted.evicted), (Some((TOKENS_KNOWN_MAX, TOKENS_KNOWN_MAX)), 1));
    let first = callers.pop().unwrap();
    assert!(!first.alive.is_cancelled());
    auth.revoke_token(first.live.token.id, first.live.user.id, &Caller::nobody(), &stranger()).await.unwrap();
    assert!(first.alive.is_cancelled());
}

#[tokio::test]
async fn a_change_is_seen_through_though_nobody_waits_for_it() {
    let stand = Stand::new(&ServerConfig::default()).await;
    let user = stand.user().await;
    for _ in 0..5 {
        let begun = stand.begin(&user).await;
        let alive = begun.live.session.handle;
        let (nobody, visitor) = (Caller::nobody(), stranger());
        assert_eq!(in_memory(&stand.auth), 1);
        {
            let mut change = pin!(stand.auth.revoke_session(user.id, alive, &nobody, &visitor));
            // Begun, and then the client hangs up.
            let first = poll_fn(|cx| Poll::Ready(change.as_mut().poll(cx))).await;
            assert!(first.is_pending());
        }
        until("it is forgotten", || in_memory(&stand.auth) == 0).await;
    }
    until("no task is left", || stand.tasks.alive() == 0).await;
    assert_eq!(stand.auth.accounts.account_usage().await.unwrap().sessions, 0);
}

/// Whoever was let in and is put out while their change waits: for the hash of a password, for room, for its turn.
#[tokio::test]
async fn whoever_is_put_out_while_a_change_waits_changes_nothing() {
    let stand = Stand::new(&ServerConfig::default()).await;
    let (auth, ada) = (&stand.auth, stand.user().await);
    let (visitor, secret) = (&stranger(), Secret::new("correct horse battery"));
    let new = wire::NewUser { name: "eve".into(), password: secret.clone(), ..wire::NewUser::default() };
    let patch = wire::UserPatch { password: Some(secret.clone()), ..wire::UserPatch::default() };
    let token = wire::NewToken { name: "t".into(), ..wire::NewToken::default() };
    for number in 0..4 {
        let caller = &stand.token(&ada, number).await;
        let room = Arc::clone(&auth.changes).acquire_many_owned(CHANGES_MAX as u32).await.unwrap();
        let mut change: Pin<Box<dyn Future<Output = Result<(), Refusal>>>> = match number {
            0 => Box::pin(async { auth.create_user(&new, caller, visitor).await.map(drop) }),
            1 => Box::pin(async { auth.patch_user("ada", &patch, caller, visitor).await.map(drop) }),
            2 => Box::pin(async { auth.create_token(caller, token.clone(), visitor).await.map(drop) }),
            _ => Box::pin(async { auth.change_password(caller, None, &secret, visitor).await.map(drop) }),
        };
        let first = poll_fn(|cx| Poll::Ready(change.as_mut().poll(cx))).await;
        assert!(first.is_pending(), "{number}");
        let Principal::Token(used) = &caller.principal else { panic!("{caller:?}") };
        assert!(auth.accounts.revoke_token(used.live.token.id, None, Actor::server()).await.unwrap());
        auth.tokens.forget(used.live.token.id);
        drop(room);
        assert_eq!(change.await.unwrap_err().code(), Code::InvalidToken, "{number}");
    }
    assert_eq!(auth.accounts.tokens(ada.id).await.unwrap(), []);
    assert_eq!(auth.accounts.users(None, 9).await.unwrap().items, [ada]);
    until("no task is left", || stand.tasks.alive() == 0).await;
}

#[tokio::test]
async fn ground_g2_what_has_expired_is_swept_and_a_sweeper_ends_when_told() {
    let second = Duration::from_secs(1);
    let config = ServerConfig { session_idle: second, session_absolute: second, ..ServerConfig::default() };
    let stand = Stand::new(&config).await;
    let user = stand.user().await;
    stand.begin(&user).await;
    let begun = std::time::Instant::now();
    until("it is old", || begun.elapsed() > second + Duration::from_millis(20)).await;
    let usage = async || stand.auth.accounts.account_usage().await.unwrap().sessions;
    assert_eq!((in_memory(&stand.auth), usage().await), (1, 1), "nobody has looked yet");
    let stop = CancellationToken::new();
    stand.auth.sweep_accounts(&stop).await;
    stand.auth.throttle.sweep().await;
    assert_eq!((in_memory(&stand.auth), usage().await), (0, 0));
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), sweep(Arc::new(stand.auth), stop)).await.unwrap();
}

/// Event streams of a session end with its row.
#[tokio::test]
async fn a_session_that_was_idle_for_too_long_is_forgotten_within_five_minutes() {
    let second = Duration::from_secs(1);
    let config = ServerConfig { session_idle: second, session_absolute: 60 * second, ..ServerConfig::default() };
    let stand = Stand::new(&config).await;
    let user = stand.user().await;
    stand.begin(&user).await;
    let begun = std::time::Instant::now();
    until("it is old", || begun.elapsed() > second + Duration::from_millis(20)).await;
    let auth = Arc::new(stand.auth);
    assert_eq!(in_memory(&auth), 1, "nobody has looked yet");
    tokio::time::pause();
    tokio::select! {
        () = sweep(Arc::clone(&auth), CancellationToken::new()) => panic!("nobody told it to end"),
        () = tokio::time::sleep(Duration::from_secs(5 * 60 + 1)) => {}
    }
    assert_eq!(in_memory(&auth), 0);
}

#[tokio::test]
async fn whoever_is_unsure_asks_and_a_closed_server_stays_so() {
    let stand = Stand::new(&ServerConfig::default()).await;
    let accounts = &*stand.auth.accounts;
    assert!(stand.auth.mode.is_open(accounts).await.unwrap());
    stand.auth.mode.doubt();
    assert!(stand.auth.mode.is_open(accounts).await.unwrap());
    // An admin whom this process did not hear of.
    stand.user().await;
    assert!(!stand.auth.mode.is_open(accounts).await.unwrap());
    assert!(!stand.auth.mode.seems_open());
    assert!(stand.auth.sessions.load(Fingerprint::of(b"x"), accounts).await.unwrap().is_none());
}
