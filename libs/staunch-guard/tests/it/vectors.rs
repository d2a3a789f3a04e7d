//! Vectors that other limiters hold themselves to, in our words: governor, limits, express-rate-limit, and our own policies.

use std::sync::Barrier;
use std::time::Duration;

use proptest::prelude::*;
use staunch_guard::{Allowed, Decision, Denied, Key, Policy, Quota, Table};

use crate::numbers::{MS, S};

const KEY: Key<'static> = Key::Bytes(b"somebody");

fn table(count: u32, window: Duration) -> Table {
    Table::new("vectors", Quota::new(count, window).unwrap(), 4).unwrap()
}

fn of(policy: &Policy) -> Table {
    Table::new("policy", policy.quota, 4).unwrap()
}

fn allow(table: &Table, cost: u32, now: u64) -> Option<Allowed> {
    match table.check(&KEY, cost, now).unwrap() {
        Decision::Allow(allowed) => Some(allowed),
        Decision::Deny(_) => None,
    }
}

fn deny(table: &Table, cost: u32, now: u64) -> Denied {
    match table.check(&KEY, cost, now).unwrap() {
        Decision::Deny(denied) => denied,
        Decision::Allow(allowed) => panic!("at {now}: {allowed:?}"),
    }
}

fn yes(table: &Table, now: u64) -> bool {
    allow(table, 1, now).is_some()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn governor_rejects_too_many() {
    let two = table(2, SECOND);
    let told: Vec<bool> = [0, 1, 2, 1_002, 1_003, 1_004].iter().map(|ms| yes(&two, ms * MS)).collect();
    assert_eq!(told, [true, true, false, true, true, false]);
}

#[test]
fn governor_gives_no_extra_cell_after_a_longer_pause() {
    let five = table(5, SECOND);
    for at in [0, 2 * S] {
        assert!((0..5).all(|_| yes(&five, at)), "{at}");
        assert!(!yes(&five, at), "{at}");
    }
}

#[test]
fn governor_never_gives_more_than_the_capacity_at_once() {
    let four = table(4, SECOND);
    let told: Vec<bool> = (0..3).map(|_| allow(&four, 2, 0).is_some()).collect();
    assert_eq!(told, [true, true, false]);
    assert!(allow(&four, 2, 500 * MS - 1).is_none() && allow(&four, 2, 500 * MS).is_some());
}

#[test]
fn governor_tells_what_remains() {
    let four = table(4, SECOND);
    let told: Vec<_> = (0..5).map(|_| allow(&four, 1, 0).map(|allowed| allowed.remaining())).collect();
    assert_eq!(told, [Some(3), Some(2), Some(1), Some(0), None]);
    // One each 90 ms, two at once.
    let quota = Quota::with_burst(1, Duration::from_millis(90), 2).unwrap();
    let slow = Table::new("slow", quota, 1).unwrap();
    let told: Vec<_> = (0..3).map(|_| allow(&slow, 1, 120 * S).map(|allowed| allowed.remaining())).collect();
    assert_eq!(told, [Some(1), Some(0), None]);
}

#[test]
fn governor_large_quotas_never_deny() {
    let huge = table(1_000_000_001, SECOND);
    assert!((0..1_000).all(|at| yes(&huge, at)));
}

#[test]
fn governor_waits_are_exact() {
    let config = ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(count in 1_u32..1_000, ms in 1_u64..100_000, percent in 1_u64..100, from in 0..10 * S)| {
        let table = table(count, Duration::from_millis(ms));
        prop_assert!(allow(&table, count, from).is_some());
        let wait = deny(&table, 1, from).retry.as_nanos() as u64;
        prop_assert!(!yes(&table, from + (wait * percent / 100).min(wait - 1)));
        prop_assert!(!yes(&table, from + wait - 1));
        prop_assert!(yes(&table, from + wait));
    });
}

#[test]
fn governor_twenty_threads_share_what_there_is() {
    let twenty = table(20, SECOND);
    let told: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(|| usize::from(yes(&twenty, 0)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(told, 20);
    assert!(!yes(&twenty, 2 * MS) && yes(&twenty, S));
}

#[test]
fn ground_g4_a_hundred_threads_at_first_use_get_five() {
    // limits: 5 a minute, 100 threads.
    for _ in 0..20 {
        let five = table(5, Duration::from_secs(60));
        let gate = Barrier::new(100);
        let told: usize = std::thread::scope(|scope| {
            let ask = || {
                gate.wait();
                usize::from(yes(&five, 0))
            };
            let threads: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((told, five.stats(0).live), (5, 1));
    }
}

#[test]
fn limits_costs_and_looks() {
    let ten = table(10, Duration::from_secs(60));
    assert!(ten.check(&KEY, 11, 0).is_err(), "11 of 10");
    assert!((0..100).all(|_| matches!(ten.peek(&KEY, 0), Decision::Allow(left) if left.remaining() == 10)));
    assert_eq!(ten.stats(0).admitted, 0, "a look takes nothing, and no slot");
    assert_eq!(ten.stats(0).live, 0);
    assert_eq!(allow(&ten, 7, 0).unwrap().remaining(), 3);
    assert_eq!(deny(&ten, 4, 0).retry, Duration::from_secs(6));
    assert_eq!(allow(&ten, 3, 0).unwrap().remaining(), 0);
    assert!(ten.peek(&KEY, 0).is_allowed(), "no cost, no wait");
}

/// A moving window would say 58 s: it waits for the first hit to leave. GCRA gives one back each 30 s.
#[test]
fn limits_two_a_minute() {
    let two = table(2, Duration::from_secs(60));
    assert!(yes(&two, 0) && yes(&two, S));
    assert_eq!(deny(&two, 1, 2 * S).retry, Duration::from_secs(28));
    assert!(yes(&two, 30 * S) && !yes(&two, 30 * S));
}

/// Ten long-lived at once and a short one, at 20 a second: after 300 ms the short one is gone.
#[test]
fn governor_keeps_the_long_lived() {
    let twenty = table(20, SECOND);
    assert!(allow(&twenty, 10, 0).is_some());
    assert!(twenty.check(&Key::Bytes(b"short"), 1, 0).unwrap().is_allowed());
    assert_eq!((twenty.sweep(50 * MS - 1, 4), twenty.sweep(300 * MS, 4), twenty.stats(0).live), (0, 1, 1));
    assert_eq!((twenty.sweep(500 * MS - 1, 4), twenty.sweep(500 * MS, 4), twenty.stats(0).live), (0, 1, 0));
}

#[test]
fn express_rate_limit_counts_do_not_fall_below_zero() {
    let five = table(5, Duration::from_secs(60));
    let receipt = allow(&five, 1, 0).unwrap().receipt();
    assert!(five.refund(receipt, || 0));
    assert_eq!((0..6).filter(|_| yes(&five, 0)).count(), 5);
    assert!(five.reset(&KEY) && !five.reset(&KEY));
    assert_eq!((0..6).filter(|_| yes(&five, 0)).count(), 5);
}

#[test]
fn keys_do_not_share() {
    let one = table(1, SECOND);
    assert!(yes(&one, 0) && !yes(&one, 0));
    assert!(one.check(&Key::Bytes(b"somebody else"), 1, 0).unwrap().is_allowed());
}

#[test]
fn refunds_give_back_what_has_not_drained() {
    for (after, gives_back) in [(0, 12 * S), (5 * S, 7 * S), (12 * S - 1, 1), (12 * S, 0), (100 * S, 0)] {
        let login = of(&Policy::login());
        let receipts: Vec<_> = (0..5).map(|_| allow(&login, 1, 0).unwrap().receipt()).collect();
        let first = receipts.into_iter().next().unwrap();
        assert_eq!(login.refund(first, || after), gives_back > 0, "after {after}");
        let wait = (12 * S).saturating_sub(after + gives_back);
        if after < 12 * S {
            assert_eq!(yes(&login, after), wait == 0, "after {after}");
        }
    }
}

#[test]
fn refunds_after_a_reset_are_void() {
    let login = of(&Policy::login());
    let before = allow(&login, 5, 0).unwrap().receipt();
    login.reset(&KEY);
    assert!(allow(&login, 5, 0).is_some());
    assert!(!login.refund(before, || 0));
    assert_eq!(deny(&login, 1, 0).retry, Duration::from_secs(12));
}

#[test]
fn penalties_end_after_a_burst() {
    let login = of(&Policy::login());
    login.penalize(&KEY, 2, 0);
    assert_eq!(allow(&login, 1, 0).unwrap().remaining(), 2);
    login.penalize(&KEY, u32::MAX, 0);
    assert_eq!(deny(&login, 1, 0).retry, Duration::from_secs(12));
    assert!(yes(&login, 12 * S));
    // A stale time never lowers a debt.
    login.penalize(&KEY, 1, 0);
    assert!(!yes(&login, 12 * S));
}

#[test]
fn policy_login() {
    let login = of(&Policy::login());
    let told: Vec<_> = (0..5).map(|_| allow(&login, 1, 0).unwrap()).collect();
    assert_eq!(told.iter().map(Allowed::remaining).collect::<Vec<_>>(), [4, 3, 2, 1, 0]);
    assert_eq!(told[0].more_in(), Duration::from_secs(12));
    assert_eq!(deny(&login, 1, 0).retry, Duration::from_secs(12));
    assert!(!yes(&login, 11_999 * MS));
    assert!(yes(&login, 12 * S) && !yes(&login, 12 * S));
    // As eager as can be: 9 in the first minute, as the quota says.
    let eager = of(&Policy::login());
    let admitted = (0..600).filter(|tenth| (0..5).filter(|_| yes(&eager, tenth * 100 * MS)).count() > 0).count();
    assert_eq!(admitted, 5, "moments at which some were admitted");
    assert_eq!(eager.stats(0).admitted, eager.quota().worst_case_in_window());
}

#[test]
fn policy_register() {
    let register = of(&Policy::register());
    assert!((0..3).all(|_| yes(&register, 0)));
    assert_eq!(deny(&register, 1, 0).retry, Duration::from_secs(20));
    assert!(yes(&register, 20 * S));
}

#[test]
fn policy_password_and_email() {
    for policy in [Policy::password(), Policy::email()] {
        let table = of(&policy);
        assert!((0..3).all(|_| yes(&table, 0)));
        assert_eq!(deny(&table, 1, 0).retry, Duration::from_secs(1_200));
        assert!(!yes(&table, 1_200 * S - 1) && yes(&table, 1_200 * S));
    }
}

#[test]
fn policy_api() {
    let api = of(&Policy::api());
    assert!((0..100).all(|_| yes(&api, 0)));
    assert_eq!(deny(&api, 1, 0).retry, Duration::from_secs(9));
    assert!(yes(&api, 9 * S) && !yes(&api, 9 * S));
    assert_eq!(allow(&api, 1, 909 * S).unwrap().remaining(), 99);
}

#[test]
fn the_end_of_time_denies() {
    let one = Table::new("end", Quota::new(1, SECOND).unwrap(), 1).unwrap();
    assert!(yes(&one, u64::MAX - 1));
    let first = yes(&one, 0);
    assert!(!first, "a time far before what is owed waits");
    assert!(deny(&one, 1, 0).retry > Duration::from_secs(1));
}

#[test]
fn tables_have_a_power_of_two_of_sets() {
    let of = |sets| Table::new("sets", Quota::new(1, SECOND).unwrap(), sets).map(|table| table.slots());
    for sets in [0, 3, 1_000, (1 << 24) + 1, 1 << 25] {
        assert!(of(sets).is_err(), "{sets}");
    }
    assert_eq!((of(1), of(2), of(1_024)), (Ok(7), Ok(14), Ok(7_168)));
    assert_eq!(of(3).unwrap_err().to_string(), "a table has a power of two of sets, at most 16777216, not 3");
}
