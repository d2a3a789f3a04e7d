//! The embedded store's accounts: the cases every store must pass, and `kill -9`.

use std::path::Path;
use std::sync::Arc;

use staunch_store::{
    AccountLimits, Accounts, Durability, HandClock, Opening, Role, SessionBegun, Sqlite, Store, UserCreated,
};

use super::killed::{acks_until_killed, assert_whole, is_child, place_of_child, told};
use crate::conformance::accounts::{Subject, actor, key, new_session, new_user};
use crate::conformance::{LIMITS, block_on};

/// An embedded store with nothing in it, on a clock that moves by hand.
fn make(accounts: AccountLimits) -> Subject {
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(HandClock::new(1_700_000_000_000));
    let mut opening = Opening::new(place.path(), LIMITS, Durability::Off);
    opening.clock = Arc::<HandClock>::clone(&clock);
    opening.accounts = accounts;
    let store = opening.open().unwrap();
    Subject::new(Arc::new(store), clock, Box::new(place))
}

accounts_conformance!(crate::sqlite::accounts::make);

#[test]
fn traces_agree_with_the_model() {
    crate::conformance::accounts::traces_agree(make);
}

#[test]
fn lower_bounds_refuse_what_is_new_and_the_audit_log_is_cut_to_its_own() {
    let place = tempfile::tempdir().unwrap();
    let open = |accounts| {
        let mut opening = Opening::new(place.path(), LIMITS, Durability::Off);
        opening.accounts = accounts;
        opening.open().unwrap()
    };
    block_on(async {
        let store = open(PLENTY);
        let UserCreated::Created(ada) = store.create_user(new_user("ada", Role::Admin), actor()).await.unwrap() else {
            panic!("there is room")
        };
        for number in 0..5 {
            store.begin_session(new_session(&ada, number), actor()).await.unwrap();
        }
        assert_eq!(store.account_usage().await.unwrap().audit_rows, 6);
        store.close().await;

        let lower =
            AccountLimits { users_max: 0, sessions_max: 2, sessions_per_user_max: 9, audit_rows_max: 4, ..PLENTY };
        let store = open(lower);
        assert_eq!(store.begin_session(new_session(&ada, 9), actor()).await.unwrap(), SessionBegun::Full { limit: 2 });
        for number in 0..5 {
            assert!(store.session(key(number)).await.unwrap().is_some(), "nobody is thrown out");
        }
        let bob = store.create_user(new_user("bob", Role::Admin), actor()).await.unwrap();
        assert_eq!(bob, UserCreated::Full { limit: 0 });
        let swept = store.sweep_accounts(1).await.unwrap();
        assert_eq!((swept.audit_rows, swept.more, store.account_usage().await.unwrap().audit_rows), (1, true, 5));
        assert!(store.end_session(key(0), actor()).await.unwrap());
        assert_eq!(store.account_usage().await.unwrap().audit_rows, 4, "a new line takes the bound up again");
        store.close().await;
    });
    assert_whole(&place.path().join("staunch.db"));
}

#[test]
fn a_clock_set_back_between_two_lives_wakes_no_session() {
    let place = tempfile::tempdir().unwrap();
    let open = |wall| {
        let mut opening = Opening::new(place.path(), LIMITS, Durability::Off);
        opening.clock = Arc::new(HandClock::new(wall));
        opening.open().unwrap()
    };
    block_on(async {
        let store = open(1_000_000);
        let UserCreated::Created(ada) = store.create_user(new_user("ada", Role::Admin), actor()).await.unwrap() else {
            panic!("there is room")
        };
        let new = staunch_store::NewSession { idle: std::time::Duration::from_secs(60), ..new_session(&ada, 1) };
        store.begin_session(new, actor()).await.unwrap();
        store.close().await;
        // An hour later something is written, which is when the time is remembered.
        let store = open(4_600_000);
        assert!(store.session(key(1)).await.unwrap().is_none());
        store.begin_session(new_session(&ada, 2), actor()).await.unwrap();
        store.close().await;
        let store = open(1_000_001);
        assert!(store.session(key(1)).await.unwrap().is_none() && store.session(key(2)).await.unwrap().is_some());
        assert!(!store.touch_session(key(1)).await.unwrap());
        store.close().await;
    });
}

/// Kills of the process that begins sessions.
const ROUNDS: u64 = 6;
/// More sessions than any round begins before it is killed.
const PLENTY: AccountLimits = AccountLimits {
    users_max: 10,
    sessions_max: 1_000_000,
    sessions_per_user_max: 1_000_000,
    tokens_per_user_max: 1,
    audit_rows_max: 50,
};

fn open(place: &Path) -> Sqlite {
    let mut opening = Opening::new(place, LIMITS, Durability::Full);
    opening.accounts = PLENTY;
    opening.open().unwrap()
}

/// Begins sessions, rotates every second one, ends every third, and tells what was acknowledged, until somebody kills the process.
fn work() {
    block_on(async {
        let store = open(&place_of_child());
        let user = match store.create_user(new_user("ada", Role::Admin), actor()).await.unwrap() {
            UserCreated::Created(row) => row,
            _ => store.credentials("ada").await.unwrap().unwrap().user,
        };
        // Numbers go on where the life before was killed: its lines of the audit log are fewer, its sessions are not.
        for number in (store.account_usage().await.unwrap().sessions * 1_000_000..).step_by(2) {
            let begun = store.begin_session(new_session(&user, number), actor()).await.unwrap();
            assert!(matches!(begun, SessionBegun::Begun(_)), "{begun:?}");
            told(&format!("begun {number} 0 0"));
            if number % 4 == 0 {
                assert!(store.rotate_session(key(number), key(number + 1), actor()).await.unwrap());
                told(&format!("rotated {number} 0 0"));
            } else if number % 6 == 0 {
                assert!(store.end_session(key(number), actor()).await.unwrap());
                told(&format!("ended {number} 0 0"));
            }
        }
    });
}

#[test]
fn sessions_that_were_acknowledged_outlive_kill_9() {
    const NAME: &str = "sqlite::accounts::sessions_that_were_acknowledged_outlive_kill_9";
    if is_child(NAME) {
        return work();
    }
    let place = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let acks = acks_until_killed(NAME, place.path(), 1 + (round as usize * 37) % 150);
        block_on(async {
            let store = open(place.path());
            let numbers = |what: &str| -> Vec<u64> {
                let of = acks.iter().filter_map(|ack| ack.split("ACK ").nth(1)?.strip_prefix(what)?.split(' ').nth(1));
                of.map(|number| number.parse().unwrap()).collect()
            };
            let (begun, rotated, ended) = (numbers("begun"), numbers("rotated"), numbers("ended"));
            assert!(!begun.is_empty(), "{acks:?}");
            for number in &begun {
                let (old, new) = (key(*number), key(number + 1));
                let (old, new) = (store.session(old).await.unwrap(), store.session(new).await.unwrap());
                let last = begun.last() == Some(number);
                assert!(!(old.is_some() && new.is_some()), "a session has one key");
                if rotated.contains(number) {
                    assert!(new.is_some(), "round {round}: {number} was rotated");
                } else if ended.contains(number) {
                    assert!(old.is_none() && new.is_none(), "round {round}: {number} was ended");
                } else {
                    // What was under way for the last one when the process was killed is done or not done.
                    assert!(old.is_some() || last, "round {round}: {number} was lost");
                }
            }
            assert!(store.has_admin().await.unwrap());
            assert!(store.account_usage().await.unwrap().audit_rows <= 50);
            store.close().await;
        });
        assert_whole(&place.path().join("staunch.db"));
    }
}
