//! A store of accounts under test and the short ways of the cases to speak to it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use staunch_store::{
    AccountLimits, AccountUsage, Accounts, Actor, AuditQuery, Fingerprint, HandClock, NewSession, NewToken, NewUser,
    PasswordHash, Role, Scope, SessionBegun, SessionRow, TokenCreated, TokenRow, UserChange, UserChanged, UserCreated,
    UserRow, Via,
};

/// Makes a store with no accounts in it.
pub(crate) type Make = fn(AccountLimits) -> Subject;

/// Limits that no case meets by accident.
pub(crate) const LIMITS: AccountLimits = AccountLimits {
    users_max: 1_000,
    sessions_max: 1_000,
    sessions_per_user_max: 100,
    tokens_per_user_max: 100,
    audit_rows_max: 10_000,
};

/// When the cases' sessions end if they are not touched.
pub(crate) const IDLE: Duration = Duration::from_secs(7_200);
/// When they end in any case.
pub(crate) const ABSOLUTE: Duration = Duration::from_secs(43_200);
/// The smallest step of the store's clock.
pub(crate) const MS: Duration = Duration::from_millis(1);

/// A store, its clock, and whatever must live as long.
pub(crate) struct Subject {
    pub(crate) accounts: Arc<dyn Accounts>,
    clock: Arc<HandClock>,
    _keep: Box<dyn Any>,
}

/// Who asks in most cases.
pub(crate) fn actor() -> Actor {
    Actor { user: None, name: "somebody".to_owned(), address: "192.0.2.7".to_owned(), via: Via::Cli }
}

/// The fingerprint of a secret that is called by a number.
pub(crate) fn key(number: u64) -> Fingerprint {
    Fingerprint::of(&number.to_le_bytes())
}

pub(crate) fn new_user(name: &str, role: Role) -> NewUser {
    NewUser { name: name.to_owned(), role, password: PasswordHash::new(format!("$argon2id$of-{name}")) }
}

pub(crate) fn new_session(user: &UserRow, number: u64) -> NewSession {
    NewSession {
        key: key(number),
        user: user.id,
        password_changed_at: user.password_changed_at,
        idle: IDLE,
        absolute: ABSOLUTE,
        label: format!("browser {number}"),
        address: "192.0.2.7".to_owned(),
    }
}

pub(crate) fn new_token(user: &UserRow, number: u64) -> NewToken {
    NewToken {
        user: user.id,
        name: format!("token {number}"),
        shown: format!("stn_{number}"),
        hash: key(number),
        scope: Scope::Run,
        ttl: None,
        no_later: None,
    }
}

impl Subject {
    pub(crate) fn new(accounts: Arc<dyn Accounts>, clock: Arc<HandClock>, keep: Box<dyn Any>) -> Self {
        Self { accounts, clock, _keep: keep }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Makes a user, who must be made.
    pub(crate) async fn user(&self, name: &str, role: Role) -> UserRow {
        match self.accounts.create_user(new_user(name, role), actor()).await.unwrap() {
            UserCreated::Created(row) => row,
            other => panic!("{name} was not made: {other:?}"),
        }
    }

    /// The user as they are now.
    pub(crate) async fn now(&self, user: &UserRow) -> UserRow {
        self.accounts.user(user.id).await.unwrap().unwrap()
    }

    pub(crate) async fn begin(&self, user: &UserRow, number: u64) -> SessionBegun {
        self.accounts.begin_session(new_session(user, number), actor()).await.unwrap()
    }

    /// Begins a session, which must live.
    pub(crate) async fn begun(&self, user: &UserRow, number: u64) -> SessionRow {
        match self.begin(user, number).await {
            SessionBegun::Begun(row) => row,
            other => panic!("session {number} was not begun: {other:?}"),
        }
    }

    /// Whether the session of this number lives.
    pub(crate) async fn lives(&self, number: u64) -> bool {
        self.accounts.session(key(number)).await.unwrap().is_some()
    }

    pub(crate) async fn create_token(&self, token: NewToken) -> TokenCreated {
        self.accounts.create_token(token, actor()).await.unwrap()
    }

    /// Makes a token, which must be made.
    pub(crate) async fn token(&self, token: NewToken) -> TokenRow {
        match self.create_token(token).await {
            TokenCreated::Created(row) => row,
            other => panic!("the token was not made: {other:?}"),
        }
    }

    /// Whether the token of this number works.
    pub(crate) async fn works(&self, number: u64) -> bool {
        self.accounts.token(key(number)).await.unwrap().is_some()
    }

    pub(crate) async fn change(&self, user: &UserRow, change: UserChange) -> UserChanged {
        self.accounts.change_user(user.id, change, actor()).await.unwrap()
    }

    /// Changes a user, which must be done; the user now and how many sessions ended.
    pub(crate) async fn changed(&self, user: &UserRow, change: UserChange) -> (UserRow, u64) {
        match self.change(user, change).await {
            UserChanged::Changed { user, sessions_ended } => (user, sessions_ended),
            UserChanged::Same(user) => (user, 0),
            other => panic!("{} was not changed: {other:?}", user.name),
        }
    }

    pub(crate) async fn usage(&self) -> AccountUsage {
        self.accounts.account_usage().await.unwrap()
    }

    /// The audit log's newest 200 lines as `action about`, the oldest first.
    pub(crate) async fn told(&self) -> Vec<String> {
        let page = self.accounts.audit_log(AuditQuery { limit: 200, ..AuditQuery::default() }).await.unwrap();
        page.items.into_iter().rev().map(|line| format!("{} {}", line.action, line.about)).collect()
    }
}
