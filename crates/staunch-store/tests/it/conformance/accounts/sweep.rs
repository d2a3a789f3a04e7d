//! Removing what has expired.

use std::time::Duration;

use staunch_store::{AccountUsage, AccountsSwept, NewSession, NewToken, Role};

use super::subject::{LIMITS, MS, Make, Subject, actor, key, new_session, new_token};

const TTL: Duration = Duration::from_secs(60);

/// A ticket, five sessions and five tokens that expire after a minute, and one of each that does not.
async fn filled(make: Make) -> Subject {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    s.accounts.open_setup(key(0), TTL, actor()).await.unwrap();
    for number in 0..5 {
        let session = NewSession { idle: TTL, ..new_session(&ada, number) };
        s.accounts.begin_session(session, actor()).await.unwrap();
        s.token(NewToken { ttl: Some(TTL), ..new_token(&ada, 100 + number) }).await;
    }
    s.begun(&ada, 5).await;
    s.token(new_token(&ada, 105)).await;
    s
}

pub(crate) async fn what_expired_goes_and_nothing_else(make: Make) {
    let s = filled(make).await;
    s.advance(TTL - MS);
    assert_eq!(s.accounts.sweep_accounts(100).await.unwrap(), AccountsSwept::default());
    s.advance(MS);
    let swept = s.accounts.sweep_accounts(100).await.unwrap();
    assert_eq!(swept, AccountsSwept { sessions: 5, tokens: 5, tickets: 1, ..AccountsSwept::default() });
    let usage = s.usage().await;
    assert_eq!((usage.users, usage.sessions, usage.tokens, usage.tickets), (1, 1, 1, 0));
    assert!(s.lives(5).await && s.works(105).await);
}

pub(crate) async fn a_sweep_is_bounded_and_says_that_there_is_more(make: Make) {
    let s = filled(make).await;
    s.advance(TTL);
    for (sessions, tokens, tickets, more) in [(2, 2, 1, true), (2, 2, 0, true), (1, 1, 0, false), (0, 0, 0, false)] {
        let swept = s.accounts.sweep_accounts(2).await.unwrap();
        assert_eq!(swept, AccountsSwept { sessions, tokens, tickets, audit_rows: 0, more });
    }
}

pub(crate) async fn nothing_to_sweep_changes_nothing(make: Make) {
    let s = filled(make).await;
    let before = s.usage().await;
    for max in [0, 1, u32::MAX] {
        assert!(!s.accounts.sweep_accounts(max).await.unwrap().more || max == 0);
        assert_eq!(s.usage().await, before);
    }
}

pub(crate) async fn usage_goes_back_to_nothing(make: Make) {
    let s = filled(make).await;
    let usage = s.usage().await;
    let wanted = AccountUsage { users: 1, sessions: 6, tokens: 6, tickets: 1, audit_rows: 14 };
    assert_eq!(usage, wanted);
    let ada = s.accounts.credentials("ada").await.unwrap().unwrap().user;
    s.accounts.delete_user(ada.id, actor()).await.unwrap();
    s.advance(TTL);
    s.accounts.sweep_accounts(100).await.unwrap();
    let left = AccountUsage { audit_rows: 15, ..AccountUsage::default() };
    assert_eq!(s.usage().await, left, "only the audit log remembers");
}
