//! API tokens.

use std::time::Duration;

use staunch_store::{
    AccountLimits, NewToken, Role, Scope, StoreError, Timestamp, TokenCreated, TokenId, UserChange, UserId,
};

use super::subject::{LIMITS, MS, Make, actor, key, new_token};

const TTL: Duration = Duration::from_secs(86_400);

pub(crate) async fn a_token_reads_back_with_its_user(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Operator).await;
    for (number, scope) in (0..).zip(Scope::ALL) {
        let row = s.token(NewToken { scope, ..new_token(&ada, number) }).await;
        assert_eq!((row.user, row.scope, row.created_at), (ada.id, scope, ada.created_at));
        assert_eq!((row.name, row.shown), (format!("token {number}"), format!("stn_{number}")));
        assert_eq!((row.expires_at, row.last_used_at), (None, None));
    }
    let live = s.accounts.token(key(1)).await.unwrap().unwrap();
    assert_eq!((live.token.scope, live.user), (Scope::Run, ada.clone()));
    let listed = s.accounts.tokens(ada.id).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.scope).collect::<Vec<_>>(), [Scope::Admin, Scope::Run, Scope::Read]);
    assert_eq!(listed[1], live.token);
    assert!(s.accounts.token(key(9)).await.unwrap().is_none());
    assert!(s.accounts.tokens(UserId::generate()).await.unwrap().is_empty());
    let text = listed[0].id.to_string();
    assert!(text.starts_with("tok_") && text.parse() == Ok(listed[0].id), "{text}");
}

pub(crate) async fn tokens_of_a_user_are_bounded_below_at_over_and_back(make: Make) {
    let s = make(AccountLimits { tokens_per_user_max: 3, ..LIMITS });
    let (ada, bob) = (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await);
    let mut rows = Vec::new();
    for number in 0..3 {
        rows.push(s.token(new_token(&ada, number)).await);
    }
    assert_eq!(s.create_token(new_token(&ada, 3)).await, TokenCreated::Full { limit: 3 });
    s.token(new_token(&bob, 10)).await;
    assert!(s.accounts.revoke_token(rows[0].id, None, actor()).await.unwrap());
    rows[0] = s.token(new_token(&ada, 3)).await;
    assert_eq!(s.create_token(new_token(&ada, 4)).await, TokenCreated::Full { limit: 3 });
    for row in rows {
        assert!(s.accounts.revoke_token(row.id, None, actor()).await.unwrap());
    }
    assert_eq!(s.usage().await.tokens, 1, "only the other's is left");
    let nobody = NewToken { user: UserId::generate(), ..new_token(&ada, 20) };
    assert_eq!(s.create_token(nobody).await, TokenCreated::NoUser);
}

pub(crate) async fn a_token_expires_at_its_time_and_not_before(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    let row = s.token(NewToken { ttl: Some(TTL), ..new_token(&ada, 1) }).await;
    s.token(NewToken { ttl: Some(Duration::MAX), ..new_token(&ada, 2) }).await;
    s.token(new_token(&ada, 3)).await;
    assert_eq!(row.expires_at.map(|at| at.0 - row.created_at.0), Some(86_400_000));
    s.advance(TTL - MS);
    assert!(s.works(1).await && s.accounts.touch_token(row.id).await.unwrap());
    s.advance(MS);
    assert!(!s.works(1).await && !s.accounts.touch_token(row.id).await.unwrap());
    assert!(s.works(2).await && s.works(3).await);
    assert_eq!(s.accounts.tokens(ada.id).await.unwrap().len(), 2);
}

pub(crate) async fn a_token_expires_no_later_than_it_may(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    let no_later = Some(Timestamp(ada.created_at.0 + 86_400_000));
    for (number, ttl, ends) in [
        (1, Some(TTL - MS), 86_399_999),
        (2, Some(TTL), 86_400_000),
        (3, Some(TTL + MS), 86_400_000),
        (4, None, 86_400_000),
        (5, Some(Duration::MAX), 86_400_000),
    ] {
        let row = s.token(NewToken { ttl, no_later, ..new_token(&ada, number) }).await;
        assert_eq!(row.expires_at.map(|at| at.0 - ada.created_at.0), Some(ends), "{ttl:?}");
        assert_eq!(s.accounts.token(key(number)).await.unwrap().unwrap().token.expires_at, row.expires_at);
    }
}

pub(crate) async fn tokens_that_expired_make_room(make: Make) {
    let s = make(AccountLimits { tokens_per_user_max: 1, ..LIMITS });
    let ada = s.user("ada", Role::Viewer).await;
    s.token(NewToken { ttl: Some(TTL), ..new_token(&ada, 1) }).await;
    s.advance(TTL - MS);
    assert_eq!(s.create_token(new_token(&ada, 2)).await, TokenCreated::Full { limit: 1 });
    s.advance(MS);
    s.token(new_token(&ada, 2)).await;
    assert_eq!(s.usage().await.tokens, 1);
}

pub(crate) async fn a_disabled_user_has_no_token(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    let row = s.token(new_token(&ada, 1)).await;
    let disabled = |disabled| UserChange { disabled: Some(disabled), ..UserChange::default() };
    s.changed(&ada, disabled(true)).await;
    assert!(!s.works(1).await && !s.accounts.touch_token(row.id).await.unwrap());
    assert_eq!(s.create_token(new_token(&ada, 2)).await, TokenCreated::NoUser);
    assert_eq!(s.accounts.tokens(ada.id).await.unwrap().len(), 1, "it can be seen and revoked");
    s.changed(&ada, disabled(false)).await;
    assert!(s.works(1).await);
}

pub(crate) async fn a_use_is_written_once_a_minute(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    let row = s.token(new_token(&ada, 1)).await;
    let start = row.created_at.0;
    let minute = Duration::from_secs(60);
    for (advance, last) in [(MS, 1), (MS, 1), (minute - MS - MS, 1), (MS, 60_001), (minute * 5, 360_001)] {
        s.advance(advance);
        assert!(s.accounts.touch_token(row.id).await.unwrap());
        let used = s.accounts.token(key(1)).await.unwrap().unwrap().token.last_used_at;
        assert_eq!(used.map(|at| at.0 - start), Some(last));
    }
    assert!(!s.accounts.touch_token(TokenId::generate()).await.unwrap());
}

pub(crate) async fn a_token_is_revoked_by_its_owner_or_by_anybody(make: Make) {
    let s = make(LIMITS);
    let (ada, bob) = (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await);
    let (first, second) = (s.token(new_token(&ada, 1)).await, s.token(new_token(&ada, 2)).await);
    assert!(!s.accounts.revoke_token(first.id, Some(bob.id), actor()).await.unwrap());
    assert!(!s.accounts.revoke_token(TokenId::generate(), None, actor()).await.unwrap());
    assert!(s.works(1).await);
    assert!(s.accounts.revoke_token(first.id, Some(ada.id), actor()).await.unwrap());
    assert!(!s.accounts.revoke_token(first.id, Some(ada.id), actor()).await.unwrap());
    assert!(s.accounts.revoke_token(second.id, None, actor()).await.unwrap());
    assert!(!s.works(1).await && !s.works(2).await && !s.accounts.touch_token(first.id).await.unwrap());
    assert_eq!(s.usage().await.tokens, 0);
}

pub(crate) async fn names_and_what_is_shown_are_bounded(make: Make) {
    let s = make(LIMITS);
    let ada = s.user("ada", Role::Viewer).await;
    for (number, (name, shown, taken)) in (0..).zip([
        (0, 8, false),
        (1, 8, true),
        (128, 8, true),
        (129, 8, false),
        (8, 0, false),
        (8, 16, true),
        (8, 17, false),
    ]) {
        let new = NewToken { name: "n".repeat(name), shown: "s".repeat(shown), ..new_token(&ada, number) };
        let made = s.accounts.create_token(new, actor()).await;
        assert_eq!(made.is_ok(), taken, "{name} and {shown} bytes: {made:?}");
    }
    assert_eq!(s.usage().await.tokens, 3);
}

pub(crate) async fn a_hash_is_taken_once(make: Make) {
    let s = make(LIMITS);
    let (ada, bob) = (s.user("ada", Role::Viewer).await, s.user("bob", Role::Viewer).await);
    s.token(new_token(&ada, 1)).await;
    let refused = s.accounts.create_token(new_token(&bob, 1), actor()).await;
    assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
    assert_eq!(s.accounts.token(key(1)).await.unwrap().unwrap().user, ada);
    assert_eq!(s.usage().await.tokens, 1);
}
