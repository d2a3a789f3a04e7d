//! Floods: far more keys than slots, and what they must not change.

use std::time::Duration;

use staunch_guard::{Decision, Key, Quota, Table};

use crate::numbers::S;

fn login(sets: usize) -> Table {
    Table::new("login", Quota::new(5, Duration::from_secs(60)).unwrap(), sets).unwrap()
}

fn allowed(table: &Table, key: u64, now: u64) -> bool {
    table.check(&Key::Bytes(&key.to_le_bytes()), 1, now).unwrap().is_allowed()
}

fn retry(table: &Table, key: u64, now: u64) -> Option<(u64, bool)> {
    match table.check(&Key::Bytes(&key.to_le_bytes()), 1, now).unwrap() {
        Decision::Allow(_) => None,
        Decision::Deny(denied) => Some((denied.retry.as_nanos() as u64, denied.degraded)),
    }
}

const VICTIM: u64 = u64::MAX;

#[test]
fn a_flood_frees_no_key() {
    for sets in [1, 16] {
        let table = login(sets);
        assert_eq!(
            (0..6).map(|_| allowed(&table, VICTIM, 0)).collect::<Vec<_>>(),
            [true, true, true, true, true, false]
        );
        for key in 0..100 * table.slots() {
            allowed(&table, key, 0);
        }
        assert!(!allowed(&table, VICTIM, 0) && !allowed(&table, VICTIM, 12 * S - 1), "{sets} sets");
        // Its own quota says 12 s; what the flood may add is at most one burst.
        assert!(allowed(&table, VICTIM, 60 * S));
        let stats = table.stats(0);
        assert_eq!((stats.live, stats.bytes), (table.slots(), table.bytes()));
        assert!(stats.hot_evictions > 0 && stats.degraded_sets > 0, "{stats:?}");
    }
}

/// An attacker that goes on while others flood gets what it would get alone: 5 at once and one each 12 s, 54 in ten minutes.
#[test]
fn an_attacker_in_a_flood_gains_nothing() {
    let table = login(4);
    let mut admitted = 0;
    let mut other = 0;
    for second in 0..600 {
        admitted += u64::from(allowed(&table, VICTIM, second * S));
        for _ in 0..table.slots() {
            other += 1;
            allowed(&table, other, second * S);
        }
    }
    assert!(admitted <= 54, "{admitted}");
}

#[test]
fn a_set_limits_the_flood_itself() {
    let (burst, interval, seconds) = (5, 12, 600);
    let table = login(1);
    let mut admitted = 0;
    for tenth in 0..seconds * 10 {
        for key in 0..20 {
            admitted += u64::from(allowed(&table, tenth * 20 + key, tenth * S / 10));
        }
    }
    assert!(admitted <= 8 * (burst + seconds / interval), "{admitted}");
    assert!(admitted >= seconds / interval, "newcomers live: {admitted}");
    assert_eq!(table.stats(0).admitted, admitted);
}

#[test]
fn a_newcomer_behind_the_floor_waits_exactly_as_long_as_it_is_told() {
    let table = Table::new("one", Quota::new(1, Duration::from_secs(60)).unwrap(), 1).unwrap();
    // Seven slots at 0; the eighth comes a second later, and takes the place of one that owes time until 60 s.
    assert!((0..7).all(|key| allowed(&table, key, 0)));
    assert!(allowed(&table, 7, S));
    let stats = table.stats(S);
    assert_eq!((stats.hot_evictions, stats.degraded_sets, stats.hot), (1, 1, 7));
    // The floor is at 60 s.
    assert_eq!(retry(&table, 100, S), Some((59 * S, true)));
    assert_eq!(retry(&table, 100, 60 * S - 1), Some((1, true)), "1 ns before");
    assert_eq!(retry(&table, 100, 60 * S), None, "at it");
    let stats = table.stats(60 * S);
    assert_eq!((stats.degraded_denials, stats.denied, stats.degraded_sets), (2, 2, 0));
}

/// With a burst of 2 the floor is a debt, not a wall: a newcomer has what a discarded key had left.
#[test]
fn the_floor_keeps_a_discarded_debt_and_no_more() {
    let table = Table::new("two", Quota::with_burst(1, Duration::from_secs(60), 2).unwrap(), 1).unwrap();
    // Seven owe 60 s, an eighth lets go of one: now newcomers owe 60 s, have one left, and owe 120 s then.
    assert!((0..16).all(|key| allowed(&table, key, 0)));
    assert_eq!(retry(&table, 16, 0), Some((60 * S, true)));
    assert_eq!(table.stats(0).admitted, 8 * 2, "eight buckets of two");
    assert_eq!(retry(&table, 17, 60 * S - 1), Some((1, true)));
    assert_eq!(retry(&table, 18, 60 * S), None);
}

#[test]
fn ground_g3_after_silence_a_sweep_frees_all() {
    let table = login(16);
    for key in 0..10_000 {
        allowed(&table, key, 0);
    }
    let full = table.stats(0);
    assert_eq!((full.live, full.hot), (table.slots(), table.slots()));
    assert_eq!(table.sweep(12 * S - 1, usize::MAX), 0, "nothing is due");
    // No TAT is ever more than a burst ahead.
    assert_eq!(table.sweep(60 * S, usize::MAX), table.slots());
    let after = table.stats(60 * S);
    assert_eq!((after.live, after.hot, after.degraded_sets, after.bytes), (0, 0, 0, full.bytes));
    assert!((0..5).all(|_| allowed(&table, 3, 60 * S)), "as good as new");
}

#[test]
fn ground_g3_a_thousand_keys_are_freed() {
    use staunch_bounded::Counted;
    // One of seven slots in eight is empty: no set of the random hash fills.
    let table = login(8_192);
    for key in 0..1_000 {
        assert!(allowed(&table, key, 0));
    }
    let (live, most) = table.count().entries.unwrap();
    assert_eq!((live, most, table.count().bytes), (1_000, 57_344, table.bytes()));
    // In slices: each set is visited once.
    let freed: Vec<u64> = (0..4).map(|_| table.sweep(12 * S, 2_048)).collect();
    assert_eq!(freed.iter().sum::<u64>(), 1_000);
    assert!(freed.iter().all(|slice| *slice < 1_000), "{freed:?}");
    let count = table.count();
    assert_eq!((count.entries, count.expired, count.bytes), (Some((0, 57_344)), 1_000, count.bytes_max));
}

#[test]
fn a_reset_frees_one_key_only() {
    let table = login(1);
    let used_up = |key| (0..5).all(|_| allowed(&table, key, 0));
    assert!((0..7).all(used_up), "seven keys have room");
    // Somebody else's floor, then: an eighth lets go of one of them.
    assert_eq!(retry(&table, 100, 0), None);
    let degraded = table.stats(0);
    assert_eq!((degraded.degraded_sets, degraded.hot_evictions), (1, 1));
    for key in [0, 1, 2, 3, 4, 5, 6, 100] {
        table.reset(&Key::Bytes(&u64::to_le_bytes(key)));
        for other in (0..7).filter(|other| *other != key) {
            assert!(!allowed(&table, other, 0), "{key} was reset, {other} was freed");
        }
    }
}

#[test]
fn what_is_dropped_is_as_good_as_new() {
    // governor keeps a key until its time is well past; here it may go as soon as it owes nothing, and none can tell.
    let table = Table::new("foo", Quota::new(1, Duration::from_secs(1)).unwrap(), 4).unwrap();
    for (key, at) in [(1, 0), (2, 200), (3, 800)] {
        assert!(allowed(&table, key, at * 1_000_000));
    }
    for (at, live) in [(999, 3), (1_000, 2), (1_200, 1), (1_400, 1), (1_800, 0), (2_000, 0)] {
        table.sweep(at * 1_000_000, usize::MAX);
        assert_eq!(table.stats(at * 1_000_000).live, live, "{at} ms");
    }
    assert!((1..4).all(|key| allowed(&table, key, 2 * S)));
}
