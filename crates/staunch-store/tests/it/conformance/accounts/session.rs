//! Sessions.

use std::sync::Arc;
use std::time::Duration;

use staunch_store::{
    AccountLimits, NewSession, PasswordHash, Role, SessionBegun, SessionHandle, StoreError, UserChange, UserId,
};

use super::subject::{ABSOLUTE, IDLE, LIMITS, MS, Make, actor, key, new_session};

pub(crate) async fn a_session_reads_back_with_its_user(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Operator).await;
    let row = s.begun(&ada, 1).await;
    assert_eq!((row.user, row.label.as_str(), row.address.as_str()), (ada.id, "browser 1", "192.0.2.7"));
    assert_eq!((row.seen_at, row.created_at), (row.created_at, ada.created_at));
    assert_eq!(row.expires_at.0 - row.created_at.0, IDLE.as_millis() as i64);
    assert_eq!(row.ends_at.0 - row.created_at.0, ABSOLUTE.as_millis() as i64);
    let live = s.accounts.session(key(1)).await.unwrap().unwrap();
    assert_eq!((live.session, live.user), (row, ada));
    assert!(s.accounts.session(key(2)).await.unwrap().is_none());
}

pub(crate) async fn an_unknown_a_disabled_and_a_changed_user_are_refused(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    let nobody = NewSession { user: UserId::generate(), ..new_session(&ada, 1) };
    assert_eq!(s.accounts.begin_session(nobody, actor()).await.unwrap(), SessionBegun::Refused);
    // The password is changed while the old one is being verified.
    let change = UserChange { password: Some(PasswordHash::new("$new")), ..UserChange::default() };
    let (now, _) = s.changed(&ada, change).await;
    assert_eq!(s.begin(&ada, 1).await, SessionBegun::Refused);
    s.begun(&now, 1).await;
    s.changed(&ada, UserChange { disabled: Some(true), ..UserChange::default() }).await;
    assert_eq!(s.begin(&now, 2).await, SessionBegun::Refused);
    assert_eq!(s.usage().await.sessions, 0);
}

pub(crate) async fn sessions_of_a_user_are_bounded_below_at_over_and_back(make: Make) {
    let s = make(AccountLimits { sessions_per_user_max: 3, ..LIMITS });
    let (ada, bob) = (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await);
    for number in 0..3 {
        s.begun(&ada, number).await;
    }
    assert_eq!(s.begin(&ada, 3).await, SessionBegun::UserFull { limit: 3 });
    for number in 0..3 {
        assert!(s.lives(number).await, "the newest is refused, not the oldest ended");
    }
    s.begun(&bob, 10).await;
    assert!(s.accounts.end_session(key(1), actor()).await.unwrap());
    s.begun(&ada, 3).await;
    assert_eq!(s.begin(&ada, 4).await, SessionBegun::UserFull { limit: 3 });
    assert_eq!(s.accounts.revoke_sessions(ada.id, None, actor()).await.unwrap(), 3);
    assert_eq!(s.accounts.revoke_sessions(bob.id, None, actor()).await.unwrap(), 1);
    assert_eq!(s.usage().await.sessions, 0);
}

pub(crate) async fn sessions_of_all_are_bounded_below_at_over_and_back(make: Make) {
    let s = make(AccountLimits { sessions_max: 3, ..LIMITS });
    let (ada, bob) = (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await);
    for number in 0..3 {
        s.begun(&ada, number).await;
    }
    assert_eq!(s.begin(&bob, 3).await, SessionBegun::Full { limit: 3 });
    for number in 0..3 {
        assert!(s.lives(number).await, "nobody's is ended for it");
    }
    assert!(s.accounts.end_session(key(0), actor()).await.unwrap());
    s.begun(&bob, 3).await;
    assert_eq!(s.begin(&ada, 4).await, SessionBegun::Full { limit: 3 });
    for number in 1..4 {
        assert!(s.accounts.end_session(key(number), actor()).await.unwrap());
    }
    assert_eq!(s.usage().await.sessions, 0);
}

pub(crate) async fn sessions_that_expired_make_room(make: Make) {
    let s = make(AccountLimits { sessions_max: 4, sessions_per_user_max: 2, ..LIMITS });
    let (ada, bob, eve) =
        (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await, s.user("eve", Role::Viewer).await);
    for (user, number) in [(&ada, 0), (&ada, 1), (&bob, 2), (&bob, 3)] {
        s.begun(user, number).await;
    }
    s.advance(IDLE - MS);
    assert_eq!(s.begin(&ada, 4).await, SessionBegun::UserFull { limit: 2 });
    assert_eq!(s.begin(&eve, 4).await, SessionBegun::Full { limit: 4 });
    s.advance(MS);
    // No sweep has been there.
    for (user, number) in [(&eve, 4), (&ada, 5), (&ada, 6), (&eve, 7)] {
        s.begun(user, number).await;
    }
    assert_eq!(s.begin(&bob, 8).await, SessionBegun::Full { limit: 4 });
    assert_eq!(s.usage().await.sessions, 4);
}

pub(crate) async fn sessions_begun_at_once_never_exceed_a_bound(make: Make) {
    let s = make(AccountLimits { sessions_max: 10, sessions_per_user_max: 4, ..LIMITS });
    let mut users = Vec::new();
    for name in ["a", "b", "c", "d"] {
        users.push(s.user(name, Role::Viewer).await);
    }
    let mut all = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (accounts, new) = (Arc::clone(&s.accounts), new_session(&users[number as usize % 4], number));
        all.spawn(async move { accounts.begin_session(new, actor()).await.unwrap() });
    }
    let begun = all.join_all().await.into_iter().filter(|end| matches!(end, SessionBegun::Begun(_))).count();
    assert_eq!((begun, s.usage().await.sessions), (10, 10));
    for user in &users {
        assert!(s.accounts.sessions(user.id).await.unwrap().len() <= 4);
    }
}

pub(crate) async fn an_idle_session_ends_at_its_time_and_not_before(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    s.begun(&ada, 1).await;
    s.advance(IDLE - MS);
    assert!(s.lives(1).await);
    assert_eq!(s.accounts.sessions(ada.id).await.unwrap().len(), 1);
    s.advance(MS);
    assert!(!s.lives(1).await);
    assert!(s.accounts.sessions(ada.id).await.unwrap().is_empty());
    assert!(!s.accounts.touch_session(key(1)).await.unwrap(), "a touch does not wake the dead");
    assert!(!s.accounts.rotate_session(key(1), key(2), actor()).await.unwrap());
    assert!(!s.accounts.end_session(key(1), actor()).await.unwrap());
    assert!(!s.lives(1).await && !s.lives(2).await);
}

pub(crate) async fn a_touch_moves_the_idle_end_but_not_past_the_absolute_one(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    let begun = s.begun(&ada, 1).await;
    let hour = Duration::from_secs(3_600);
    for hours in 1..12 {
        s.advance(hour);
        assert!(s.accounts.touch_session(key(1)).await.unwrap(), "after {hours} hours");
        let row = s.accounts.session(key(1)).await.unwrap().unwrap().session;
        assert_eq!(row.seen_at.0, begun.created_at.0 + hours * 3_600_000);
        assert_eq!(row.expires_at.0, (row.seen_at.0 + IDLE.as_millis() as i64).min(begun.ends_at.0));
        assert_eq!((row.handle, row.ends_at), (begun.handle, begun.ends_at));
    }
    s.advance(hour - MS);
    assert!(s.accounts.touch_session(key(1)).await.unwrap());
    s.advance(MS);
    assert!(!s.accounts.touch_session(key(1)).await.unwrap(), "twelve hours are over, however busy it was");
    assert!(!s.lives(1).await);
}

pub(crate) async fn an_ended_session_is_dead_at_once(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    s.begun(&ada, 1).await;
    assert!(s.accounts.end_session(key(1), actor()).await.unwrap());
    assert!(!s.lives(1).await);
    assert!(!s.accounts.touch_session(key(1)).await.unwrap());
    assert!(!s.accounts.end_session(key(1), actor()).await.unwrap());
}

pub(crate) async fn a_rotated_session_lives_under_its_new_key_only(make: Make) {
    let s = make(AccountLimits { sessions_max: 1, ..LIMITS });
    let ada = s.user("ada", Role::Viewer).await;
    let row = s.begun(&ada, 1).await;
    assert!(s.accounts.rotate_session(key(1), key(2), actor()).await.unwrap(), "it needs no room");
    assert!(!s.lives(1).await && !s.accounts.touch_session(key(1)).await.unwrap());
    assert_eq!(s.accounts.session(key(2)).await.unwrap().unwrap().session, row);
    assert!(!s.accounts.rotate_session(key(1), key(3), actor()).await.unwrap());
    assert!(s.lives(2).await && !s.lives(3).await);
}

pub(crate) async fn a_key_is_taken_once(make: Make) {
    let s = make(LIMITS);
    let (ada, bob) = (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await);
    s.begun(&ada, 1).await;
    s.begun(&bob, 2).await;
    let refused = s.accounts.begin_session(new_session(&bob, 1), actor()).await;
    assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
    let refused = s.accounts.rotate_session(key(2), key(1), actor()).await;
    assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
    assert_eq!(s.accounts.session(key(1)).await.unwrap().unwrap().user, ada);
    assert_eq!(s.accounts.session(key(2)).await.unwrap().unwrap().user, bob);
    assert_eq!(s.usage().await.sessions, 2, "what failed is not counted");
}

pub(crate) async fn one_is_revoked_by_handle_and_only_by_its_user(make: Make) {
    let s = make(LIMITS);
    let (ada, bob) = (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await);
    let row = s.begun(&ada, 1).await;
    s.begun(&ada, 2).await;
    assert!(!s.accounts.revoke_session(bob.id, row.handle, actor()).await.unwrap());
    assert!(!s.accounts.revoke_session(UserId::generate(), row.handle, actor()).await.unwrap());
    assert!(!s.accounts.revoke_session(ada.id, SessionHandle::generate(), actor()).await.unwrap());
    assert!(s.lives(1).await);
    assert!(s.accounts.revoke_session(ada.id, row.handle, actor()).await.unwrap());
    assert!(!s.accounts.revoke_session(ada.id, row.handle, actor()).await.unwrap());
    assert_eq!((s.lives(1).await, s.lives(2).await), (false, true));
    assert!(!s.accounts.touch_session(key(1)).await.unwrap(), "who is in hears of it at the next touch");
}

pub(crate) async fn all_but_one_are_revoked(make: Make) {
    let s = make(LIMITS);
    let (ada, bob) = (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await);
    let kept = s.begun(&ada, 0).await;
    for number in 1..4 {
        s.begun(&ada, number).await;
    }
    s.begun(&bob, 10).await;
    assert_eq!(s.accounts.revoke_sessions(ada.id, Some(kept.handle), actor()).await.unwrap(), 3);
    assert_eq!(s.accounts.revoke_sessions(ada.id, Some(kept.handle), actor()).await.unwrap(), 0);
    assert!(s.lives(0).await && !s.lives(1).await && s.lives(10).await);
    assert_eq!(s.accounts.revoke_sessions(ada.id, None, actor()).await.unwrap(), 1);
    assert_eq!(s.accounts.revoke_sessions(UserId::generate(), None, actor()).await.unwrap(), 0);
    assert_eq!(s.usage().await.sessions, 1);
}

pub(crate) async fn sessions_are_listed_newest_first(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    let mut begun = Vec::new();
    for number in 0..5 {
        begun.insert(0, s.begun(&ada, number).await);
        s.advance(MS);
    }
    assert_eq!(s.accounts.sessions(ada.id).await.unwrap(), begun);
    assert!(s.accounts.sessions(UserId::generate()).await.unwrap().is_empty());
    let handle = begun[0].handle.to_string();
    assert!(handle.starts_with("ses_") && handle.parse() == Ok(begun[0].handle), "{handle}");
}

pub(crate) async fn what_strangers_send_is_cut(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    let new = NewSession { label: "ä".repeat(500), address: "9".repeat(500), ..new_session(&ada, 1) };
    let SessionBegun::Begun(row) = s.accounts.begin_session(new, actor()).await.unwrap() else { panic!("it is cut") };
    assert_eq!((row.label, row.address), ("ä".repeat(100), "9".repeat(64)));
}

pub(crate) async fn a_time_without_end_ends_far_away(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    let new = NewSession { idle: Duration::MAX, absolute: Duration::MAX, ..new_session(&ada, 1) };
    assert!(matches!(s.accounts.begin_session(new, actor()).await.unwrap(), SessionBegun::Begun(_)));
    s.advance(Duration::from_secs(86_400 * 365));
    assert!(s.accounts.touch_session(key(1)).await.unwrap() && s.lives(1).await);
    let none = NewSession { idle: Duration::ZERO, ..new_session(&ada, 2) };
    assert!(matches!(s.accounts.begin_session(none, actor()).await.unwrap(), SessionBegun::Begun(_)));
    assert!(!s.lives(2).await, "and one of no time is over at once");
}
