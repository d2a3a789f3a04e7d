//! A store of accounts in a hundred lines of memory, and random traces on which a real one must agree with it.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::test_runner::{Config, TestRunner};
use staunch_store::{
    AccountLimits, PasswordHash, Role, SessionBegun, SessionHandle, SetupOpened, SetupRedeemed, TokenCreated, TokenId,
    UserChange, UserChanged, UserCreated, UserDeleted, UserRow,
};

use super::subject::{Make, Subject, actor, key, new_session, new_token, new_user};
use super::trace::{Call, calls};
use crate::conformance::block_on;

/// Bounds that traces meet often.
const TIGHT: AccountLimits = AccountLimits {
    users_max: 3,
    sessions_max: 4,
    sessions_per_user_max: 2,
    tokens_per_user_max: 2,
    audit_rows_max: 20,
};

/// A session, dead or alive.
#[derive(Debug)]
struct Session {
    key: u64,
    handle: SessionHandle,
    user: usize,
    seen_at: i64,
    idle: i64,
    ends_at: i64,
    ended: bool,
}

/// A token, dead or alive.
#[derive(Debug)]
struct Token {
    key: u64,
    id: TokenId,
    user: usize,
    expires_at: Option<i64>,
    used_at: Option<i64>,
    ended: bool,
}

/// The whole store. Users are named by their place in `users` and stay there when they are gone.
#[derive(Debug, Default)]
struct Model {
    now: i64,
    keys: u64,
    users: Vec<(UserRow, bool)>,
    sessions: Vec<Session>,
    tokens: Vec<Token>,
    ticket: Option<(u64, i64)>,
    told: u64,
}

impl Session {
    fn expires_at(&self) -> i64 {
        (self.seen_at + self.idle).min(self.ends_at)
    }
}

impl Model {
    fn key(&mut self) -> u64 {
        self.keys += 1;
        self.keys
    }

    fn there(&self, user: usize) -> Option<&UserRow> {
        self.users.get(user).filter(|(_, gone)| !gone).map(|(row, _)| row)
    }

    fn named(&self, name: &str) -> bool {
        self.users.iter().any(|(row, gone)| !gone && row.name.to_lowercase() == name.to_lowercase())
    }

    fn admins(&self) -> usize {
        self.users.iter().filter(|(row, gone)| !gone && row.role == Role::Admin && !row.disabled).count()
    }

    fn count(&self) -> u64 {
        self.users.iter().filter(|(_, gone)| !gone).count() as u64
    }

    fn lives(&self, session: &Session) -> bool {
        !session.ended && session.expires_at() > self.now
    }

    fn works(&self, token: &Token) -> bool {
        !token.ended && token.expires_at.is_none_or(|at| at > self.now)
    }

    fn living(&self, user: usize) -> u64 {
        self.sessions.iter().filter(|s| s.user == user && self.lives(s)).count() as u64
    }

    /// Ends a user's sessions but one; how many lived.
    fn end_all(&mut self, user: usize, keep: Option<SessionHandle>) -> u64 {
        let mut ended = 0;
        for i in 0..self.sessions.len() {
            if self.sessions[i].user == user && Some(self.sessions[i].handle) != keep {
                ended += u64::from(self.lives(&self.sessions[i]));
                self.sessions[i].ended = true;
            }
        }
        ended
    }
}

/// A real store beside its model.
struct Pair {
    real: Subject,
    model: Model,
}

fn name(number: u8) -> String {
    let name = format!("user-{}", number % 5);
    if number >= 128 { name.to_uppercase() } else { name }
}

fn role(number: u8) -> Role {
    Role::ALL[usize::from(number) % 3]
}

impl Pair {
    async fn call(&mut self, call: Call) {
        match call {
            Call::Open { ttl_ms } => self.open(ttl_ms).await,
            Call::Redeem { newest, name } => self.redeem(newest, name).await,
            Call::Create { name, role } => self.create(name, role).await,
            Call::Change { .. } => self.change(call).await,
            Call::Delete(user) => self.delete(user).await,
            Call::Begin { .. } => self.begin(call).await,
            Call::Touch(_) | Call::End(_) | Call::Rotate(_) => self.one_session(call).await,
            Call::Revoke { .. } | Call::RevokeAll { .. } => self.revoke(call).await,
            Call::Token { .. } | Call::Use(_) | Call::RevokeToken { .. } => self.token(call).await,
            Call::Advance(ms) => {
                self.model.now += i64::from(ms);
                self.real.advance(Duration::from_millis(u64::from(ms)));
            }
            Call::Sweep(max) => {
                let swept = self.real.accounts.sweep_accounts(u32::from(max)).await.unwrap();
                assert!(swept.sessions <= u64::from(max) && swept.tokens <= u64::from(max), "{swept:?}");
                if swept.tickets > 0 {
                    assert!(self.model.ticket.take().is_some_and(|(_, until)| until <= self.model.now));
                }
            }
        }
    }

    async fn open(&mut self, ttl_ms: u16) {
        let (number, ttl) = (self.model.key(), Duration::from_millis(u64::from(ttl_ms)));
        let real = self.real.accounts.open_setup(key(number), ttl, actor()).await.unwrap();
        if self.model.admins() > 0 {
            assert_eq!(real, SetupOpened::AdminExists);
        } else {
            assert!(matches!(real, SetupOpened::Opened { .. }), "{real:?}");
            self.model.ticket = Some((number, self.model.now + i64::from(ttl_ms)));
            self.model.told += 1;
        }
    }

    async fn redeem(&mut self, newest: bool, number: u8) {
        let name = name(number);
        let ticket = self.model.ticket.filter(|_| newest);
        let secret = key(ticket.map_or(u64::MAX, |(number, _)| number));
        let real = self.real.accounts.redeem_setup(secret, new_user(&name, Role::Viewer), actor()).await.unwrap();
        let model = &mut self.model;
        let wanted = match ticket {
            _ if model.admins() > 0 => SetupRedeemed::AdminExists,
            None => SetupRedeemed::Unknown,
            Some((_, until)) if until <= model.now => SetupRedeemed::Expired,
            Some(_) if model.named(&name) => SetupRedeemed::NameTaken,
            Some(_) if model.count() >= TIGHT.users_max => SetupRedeemed::Full { limit: TIGHT.users_max },
            Some(_) => {
                let SetupRedeemed::Created(row) = &real else { panic!("{real:?}") };
                assert_eq!((row.name.as_str(), row.role, row.created_at.0), (name.as_str(), Role::Admin, model.now));
                model.users.push((row.clone(), false));
                model.ticket = None;
                model.told += 1;
                return;
            }
        };
        assert_eq!(real, wanted);
    }

    async fn create(&mut self, number: u8, as_role: u8) {
        let (name, role) = (name(number), role(as_role));
        let real = self.real.accounts.create_user(new_user(&name, role), actor()).await.unwrap();
        let model = &mut self.model;
        let limit = TIGHT.users_max;
        let wanted = if model.named(&name) {
            UserCreated::NameTaken
        } else if model.count() >= limit {
            UserCreated::Full { limit }
        } else {
            let UserCreated::Created(row) = &real else { panic!("{real:?}") };
            assert_eq!((row.name.as_str(), row.role, row.created_at.0), (name.as_str(), role, model.now));
            model.users.push((row.clone(), false));
            model.told += 1;
            return;
        };
        assert_eq!(real, wanted);
    }

    async fn change(&mut self, call: Call) {
        let Call::Change { user, role: as_role, disabled, password, keep } = call else { return };
        if self.model.users.is_empty() {
            return;
        }
        let user = user % self.model.users.len();
        let keep = pick(&self.model.sessions, keep).map(|i| self.model.sessions[i].handle);
        let was = self.model.users[user].0.clone();
        let change =
            UserChange { role: as_role.map(role), disabled, password: password.then(|| PasswordHash::new("$p")), keep };
        let real = self.real.change(&was, change).await;
        let model = &mut self.model;
        let mut is = was.clone();
        is.role = as_role.map_or(was.role, role);
        is.disabled = disabled.unwrap_or(was.disabled);
        if password {
            is.password_changed_at.0 = model.now.max(was.password_changed_at.0 + 1);
        }
        let admin = |row: &UserRow| row.role == Role::Admin && !row.disabled;
        let wanted = if model.there(user).is_none() {
            UserChanged::Unknown
        } else if admin(&was) && !admin(&is) && model.admins() == 1 {
            UserChanged::LastAdmin
        } else if is == was {
            UserChanged::Same(is)
        } else {
            let ends = password || was.role != is.role || (is.disabled && !was.disabled);
            let sessions_ended = if ends { model.end_all(user, keep.filter(|_| !is.disabled)) } else { 0 };
            model.told += 1;
            model.users[user].0 = is.clone();
            UserChanged::Changed { user: is, sessions_ended }
        };
        assert_eq!(real, wanted);
    }

    async fn delete(&mut self, user: usize) {
        if self.model.users.is_empty() {
            return;
        }
        let user = user % self.model.users.len();
        let row = self.model.users[user].0.clone();
        let real = self.real.accounts.delete_user(row.id, actor()).await.unwrap();
        let model = &mut self.model;
        let wanted = if model.there(user).is_none() {
            UserDeleted::Unknown
        } else if row.role == Role::Admin && !row.disabled && model.admins() == 1 {
            UserDeleted::LastAdmin
        } else {
            model.end_all(user, None);
            model.tokens.iter_mut().filter(|t| t.user == user).for_each(|t| t.ended = true);
            model.users[user].1 = true;
            model.told += 1;
            UserDeleted::Deleted
        };
        assert_eq!(real, wanted);
    }

    async fn begin(&mut self, call: Call) {
        let Call::Begin { user, stale, idle_ms, absolute_ms } = call else { return };
        if self.model.users.is_empty() {
            return;
        }
        let user = user % self.model.users.len();
        let number = self.model.key();
        let row = self.model.users[user].0.clone();
        let mut new = new_session(&row, number);
        new.password_changed_at.0 -= i64::from(stale);
        (new.idle, new.absolute) = (Duration::from_millis(idle_ms.into()), Duration::from_millis(absolute_ms.into()));
        let real = self.real.accounts.begin_session(new, actor()).await.unwrap();
        let model = &mut self.model;
        let living = model.sessions.iter().filter(|s| model.lives(s)).count() as u64;
        let wanted = if stale || row.disabled || model.there(user).is_none() {
            SessionBegun::Refused
        } else if model.living(user) >= TIGHT.sessions_per_user_max {
            SessionBegun::UserFull { limit: TIGHT.sessions_per_user_max }
        } else if living >= TIGHT.sessions_max {
            SessionBegun::Full { limit: TIGHT.sessions_max }
        } else {
            let SessionBegun::Begun(begun) = &real else { panic!("{real:?}") };
            model.sessions.push(Session {
                key: number,
                handle: begun.handle,
                user,
                seen_at: model.now,
                idle: idle_ms.into(),
                ends_at: model.now + i64::from(absolute_ms),
                ended: false,
            });
            model.told += 1;
            return;
        };
        assert_eq!(real, wanted);
    }

    async fn one_session(&mut self, call: Call) {
        let (Call::Touch(pick_one) | Call::End(pick_one) | Call::Rotate(pick_one)) = call else { return };
        let Some(i) = pick(&self.model.sessions, pick_one) else { return };
        let (accounts, new) = (&self.real.accounts, self.model.key());
        let lives = self.model.lives(&self.model.sessions[i]);
        let number = self.model.sessions[i].key;
        let real = match call {
            Call::Touch(_) => accounts.touch_session(key(number)).await,
            Call::End(_) => accounts.end_session(key(number), actor()).await,
            _ => accounts.rotate_session(key(number), key(new), actor()).await,
        };
        assert_eq!(real.unwrap(), lives);
        let model = &mut self.model;
        match call {
            _ if !lives => {}
            Call::Touch(_) => model.sessions[i].seen_at = model.now,
            Call::End(_) => model.sessions[i].ended = true,
            _ => model.sessions[i].key = new,
        }
        model.told += u64::from(lives && !matches!(call, Call::Touch(_)));
    }

    async fn revoke(&mut self, call: Call) {
        let (Call::Revoke { user, session } | Call::RevokeAll { user, keep: session }) = call else { return };
        if self.model.users.is_empty() {
            return;
        }
        let user = user % self.model.users.len();
        let id = self.model.users[user].0.id;
        let found = pick(&self.model.sessions, session);
        if let Call::RevokeAll { .. } = call {
            let keep = found.map(|i| self.model.sessions[i].handle);
            let ended = self.model.end_all(user, keep);
            self.model.told += u64::from(ended > 0);
            assert_eq!(self.real.accounts.revoke_sessions(id, keep, actor()).await.unwrap(), ended);
        } else if let Some(i) = found {
            let session = &self.model.sessions[i];
            let (handle, revoked) = (session.handle, session.user == user && self.model.lives(session));
            self.model.sessions[i].ended |= revoked;
            self.model.told += u64::from(revoked);
            assert_eq!(self.real.accounts.revoke_session(id, handle, actor()).await.unwrap(), revoked);
        }
    }

    async fn token(&mut self, call: Call) {
        let number = self.model.key();
        let (model, real) = (&mut self.model, &self.real);
        match call {
            Call::Token { user, ttl_ms } if !model.users.is_empty() => {
                let user = user % model.users.len();
                let row = model.users[user].0.clone();
                let mut new = new_token(&row, number);
                new.ttl = ttl_ms.map(|ms| Duration::from_millis(ms.into()));
                let working = model.tokens.iter().filter(|t| t.user == user && model.works(t)).count() as u64;
                let limit = TIGHT.tokens_per_user_max;
                match real.create_token(new).await {
                    TokenCreated::NoUser => assert!(row.disabled || model.there(user).is_none()),
                    TokenCreated::Full { .. } => assert_eq!(working, limit),
                    TokenCreated::Created(made) => {
                        assert!(working < limit && !row.disabled && model.there(user).is_some());
                        let expires_at = ttl_ms.map(|ms| model.now + i64::from(ms));
                        let (id, used_at) = (made.id, None);
                        model.tokens.push(Token { key: number, id, user, expires_at, used_at, ended: false });
                        model.told += 1;
                    }
                }
            }
            Call::Use(token) => {
                let Some(i) = pick(&model.tokens, token) else { return };
                let works = model.works(&model.tokens[i]) && !model.users[model.tokens[i].user].0.disabled;
                assert_eq!(real.accounts.touch_token(model.tokens[i].id).await.unwrap(), works);
                if works && model.tokens[i].used_at.is_none_or(|at| model.now - at >= 60_000) {
                    model.tokens[i].used_at = Some(model.now);
                }
            }
            Call::RevokeToken { token, owner } => {
                let Some(i) = pick(&model.tokens, token) else { return };
                let owner = owner % model.users.len();
                // An expired one may be gone or not: nobody is told which, so the trace leaves it alone.
                if !model.tokens[i].ended && !model.works(&model.tokens[i]) {
                    return;
                }
                let revoked = !model.tokens[i].ended && model.tokens[i].user == owner;
                let (id, owner) = (model.tokens[i].id, Some(model.users[owner].0.id));
                assert_eq!(real.accounts.revoke_token(id, owner, actor()).await.unwrap(), revoked);
                model.tokens[i].ended |= revoked;
                model.told += u64::from(revoked);
            }
            _ => {}
        }
    }

    /// All that readers see is what the model says.
    async fn agree(&self) {
        let (model, accounts) = (&self.model, &self.real.accounts);
        let there: BTreeMap<String, &UserRow> =
            model.users.iter().filter(|(_, gone)| !gone).map(|(row, _)| (row.name.to_lowercase(), row)).collect();
        let listed = accounts.users(None, 200).await.unwrap().items;
        assert!(listed.iter().eq(there.values().copied()), "{listed:?}\n{there:?}");
        assert_eq!(accounts.has_admin().await.unwrap(), model.admins() > 0);
        for session in &model.sessions {
            let live = accounts.session(key(session.key)).await.unwrap();
            assert_eq!(live.is_some(), model.lives(session), "{session:?}");
            if let Some(live) = live {
                assert_eq!(live.user, model.users[session.user].0);
                let row = live.session;
                let times = (row.handle, row.seen_at.0, row.expires_at.0, row.ends_at.0);
                assert_eq!(times, (session.handle, session.seen_at, session.expires_at(), session.ends_at));
            }
        }
        for (i, (row, _)) in model.users.iter().enumerate() {
            let handles: Vec<_> = accounts.sessions(row.id).await.unwrap().iter().map(|s| s.handle).collect();
            let of = model.sessions.iter().rev().filter(|s| s.user == i && model.lives(s)).map(|s| s.handle);
            assert_eq!(handles, of.collect::<Vec<_>>());
            let tokens: Vec<_> =
                accounts.tokens(row.id).await.unwrap().iter().map(|t| (t.id, t.last_used_at.map(|at| at.0))).collect();
            let of = model.tokens.iter().rev().filter(|t| t.user == i && model.works(t)).map(|t| (t.id, t.used_at));
            assert_eq!(tokens, of.collect::<Vec<_>>());
        }
        for token in &model.tokens {
            let works = model.works(token) && !model.users[token.user].0.disabled;
            assert_eq!(accounts.token(key(token.key)).await.unwrap().is_some(), works, "{token:?}");
        }
        let usage = self.real.usage().await;
        assert_eq!((usage.users, usage.audit_rows), (model.count(), model.told.min(TIGHT.audit_rows_max)));
        let living = model.sessions.iter().filter(|s| model.lives(s)).count() as u64;
        assert!((living..=TIGHT.sessions_max).contains(&usage.sessions), "{usage:?}, {living} live");
    }
}

fn pick<T>(of: &[T], number: usize) -> Option<usize> {
    number.checked_rem(of.len())
}

/// Plays random traces on a store and on the model: every answer is the same, and so is all that readers see.
pub(crate) fn traces_agree(make: Make) {
    let config = Config { cases: 96, failure_persistence: None, ..Config::default() };
    let played = TestRunner::new(config).run(&calls(), |trace| {
        block_on(async {
            let real = make(TIGHT);
            // What the clock says is told by whoever is made by it.
            let user = real.user("user-0", Role::Viewer).await;
            let (now, told) = (user.created_at.0, 1);
            let model = Model { now, told, users: vec![(user, false)], ..Model::default() };
            let mut pair = Pair { real, model };
            for call in trace {
                pair.call(call).await;
            }
            pair.agree().await;
        });
        Ok(())
    });
    if let Err(failure) = played {
        panic!("{failure}");
    }
}
