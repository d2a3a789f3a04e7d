//! Authentication over a real store, without a socket.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use staunch_bounded::Counted;
use staunch_store::{Actor, Durability, Fingerprint, NewUser, PasswordHash, Role, Sqlite, UserCreated, UserRow};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::visitor::Charged;
use super::*;
use crate::config::ServerConfig;
use crate::problem::Code;
use crate::rate::{Payer, Rule};
use crate::wire::Secret;

/// Authentication, and what it stands on.
pub(super) struct Stand {
    pub(super) auth: Auth,
    tasks: Tasks,
    _data: TempDir,
}

impl Stand {
    pub(super) async fn new(config: &ServerConfig) -> Self {
        let data = TempDir::new().unwrap();
        let limits = Limits::default();
        let store = Arc::new(Sqlite::open(data.path(), limits.store(), Durability::Off).unwrap());
        let tasks = Tasks::new();
        let auth = Auth::new(store, Settings::of(config).unwrap(), &limits, &tasks).await.unwrap();
        Self { auth, tasks, _data: data }
    }

    async fn user(&self) -> UserRow {
        self.user_with(PasswordHash::new("$argon2id$none")).await
    }

    async fn user_with(&self, password: PasswordHash) -> UserRow {
        let user = NewUser { name: "ada".into(), role: Role::Admin, password };
        let created = self.auth.accounts.create_user(user, Actor::server()).await.unwrap();
        let UserCreated::Created(user) = created else { panic!("{created:?}") };
        user
    }

    async fn begin(&self, user: &UserRow) -> Begun {
        let visitor = Visitor { client: None, label: String::new(), claimed: None, charged: Charged::default() };
        self.auth.begin(user, &visitor).await.unwrap()
    }
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

/// The default quotas: three passwords given again, five logins an address and twenty a name.
#[tokio::test]
async fn a_password_that_nobody_had_time_to_judge_costs_no_try() {
    let stand = Stand::new(&ServerConfig::default()).await;
    let auth = &stand.auth;
    let user = stand.user_with(auth.passwords.hash(&Secret::new("correct horse battery")).await.unwrap()).await;
    let session = stand.begin(&user).await;
    let key = secret::fingerprint(session.cookie.to_str().unwrap().split(['=', ';']).nth(1).unwrap()).unwrap();
    let session = auth.sessions.load(key, &*auth.accounts).await.unwrap().unwrap();
    let caller = Caller { principal: Principal::Session(session), expired: false };
    let (right, wrong) = (Secret::new("correct horse battery"), Secret::new("wrong horse battery"));
    let prove = async |password: &Secret| auth.prove_again(&caller, Some(password)).await.map_err(|e| e.code());
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

#[tokio::test]
async fn a_change_is_seen_through_though_nobody_waits_for_it() {
    let stand = Stand::new(&ServerConfig::default()).await;
    let user = stand.user().await;
    for _ in 0..5 {
        let begun = stand.begin(&user).await;
        let alive = begun.live.session.handle;
        assert_eq!(in_memory(&stand.auth), 1);
        {
            let mut change = pin!(stand.auth.revoke_session(user.id, alive, Actor::server()));
            // Begun, and then the client hangs up.
            let first = poll_fn(|cx| Poll::Ready(change.as_mut().poll(cx))).await;
            assert!(first.is_pending());
        }
        until("it is forgotten", || in_memory(&stand.auth) == 0).await;
    }
    until("no task is left", || stand.tasks.alive() == 0).await;
    assert_eq!(stand.auth.accounts.account_usage().await.unwrap().sessions, 0);
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
