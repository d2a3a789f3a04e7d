//! Tests of the map.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;

use super::{Bounds, Full, Policy, Refused, TtlMap};
use crate::census::{Count, Counted};

const fn second(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn map(entries_max: usize, bytes_max: u64, policy: Policy) -> TtlMap<u32, u32> {
    TtlMap::new("test", Bounds { entries_max, bytes_max, age_max: second(10) }, policy)
}

#[test]
fn entries_below_at_and_over_the_bound_and_back_to_zero() {
    for policy in [Policy::Refuse, Policy::EvictOldest] {
        let mut map = map(3, 1_000, policy);
        for n in 0..3 {
            map.insert(n, n, 1, second(0)).unwrap();
            assert_eq!(map.len(), n as usize + 1);
        }
        let fourth = map.insert(3, 33, 1, second(1));
        assert_eq!(map.len(), 3);
        let count = map.gauge().count();
        if policy == Policy::Refuse {
            assert_eq!(fourth, Err(Refused { value: 33, full: Full::Entries }));
            assert_eq!((map.get(&0, second(1)), count.refused), (Some(&0), 1));
        } else {
            assert_eq!(fourth, Ok(None));
            assert_eq!((map.get(&0, second(1)), map.get(&3, second(1)), count.evicted), (None, Some(&33), 1));
        }
        map.sweep(second(11), 100);
        assert_eq!((map.len(), map.bytes(), map.is_empty()), (0, 0, true));
    }
}

#[test]
fn bytes_below_at_and_over_the_bound() {
    let mut refusing = map(100, 10, Policy::Refuse);
    refusing.insert(0, 0, 9, second(0)).unwrap();
    refusing.insert(1, 1, 1, second(0)).unwrap();
    assert_eq!(refusing.insert(2, 2, 1, second(0)).unwrap_err().full, Full::Bytes);
    assert_eq!(refusing.insert(2, 2, 11, second(0)).unwrap_err().full, Full::TooLarge);
    assert_eq!(refusing.insert(2, 2, 0, second(0)), Ok(None));
    let mut evicting = map(100, 10, Policy::EvictOldest);
    for n in 0..5 {
        evicting.insert(n, n, 4, second(0)).unwrap();
        assert!(evicting.bytes() <= 10);
    }
    assert_eq!(evicting.insert(9, 9, 11, second(0)).unwrap_err().full, Full::TooLarge);
    assert_eq!(evicting.insert(9, 9, 10, second(0)), Ok(None));
    assert_eq!((evicting.len(), evicting.bytes()), (1, 10));
}

#[test]
fn age_below_at_and_over_the_bound_is_seen_at_reading() {
    let mut map = map(3, 100, Policy::Refuse);
    map.insert(1, 1, 1, second(5)).unwrap();
    assert_eq!(map.get(&1, second(14)), Some(&1));
    *map.get_mut(&1, second(14)).unwrap() += 1;
    assert_eq!((map.get(&1, second(15)), map.get(&1, second(16)), map.len()), (None, None, 1));
    assert_eq!(map.get_mut(&1, second(15)), None);
    assert_eq!(map.remove(&1, second(15)), None);
    assert_eq!((map.len(), map.bytes(), map.gauge().count().expired), (0, 0, 1));
}

#[test]
fn a_clock_that_goes_back_revives_nobody() {
    let mut map = map(3, 100, Policy::Refuse);
    map.insert(1, 1, 1, second(0)).unwrap();
    map.insert(2, 2, 1, second(9)).unwrap();
    map.insert(3, 3, 1, second(3)).unwrap();
    assert_eq!(map.sweep(second(10), 9), 1);
    assert_eq!((map.get(&1, second(1)), map.get(&3, second(18))), (None, Some(&3)));
    assert_eq!(map.get(&3, second(19)), None);
}

#[test]
fn old_entries_make_room_even_where_new_ones_are_refused() {
    let mut map = map(2, 100, Policy::Refuse);
    map.insert(1, 1, 1, second(0)).unwrap();
    map.insert(2, 2, 1, second(5)).unwrap();
    map.insert(3, 3, 1, second(10)).unwrap();
    assert!(map.insert(4, 4, 1, second(14)).is_err());
    map.insert(4, 4, 1, second(15)).unwrap();
    assert_eq!((map.len(), map.gauge().count().expired), (2, 2));
}

#[test]
fn a_replaced_entry_is_returned_and_a_refused_one_changes_nothing() {
    let mut map = map(2, 10, Policy::Refuse);
    map.insert(1, 1, 5, second(0)).unwrap();
    map.insert(2, 2, 5, second(0)).unwrap();
    assert_eq!(map.insert(1, 11, 5, second(1)), Ok(Some(1)));
    assert_eq!(map.insert(1, 12, 6, second(1)), Err(Refused { value: 12, full: Full::Bytes }));
    assert_eq!((map.get(&1, second(1)), map.bytes()), (Some(&11), 10));
    assert_eq!(map.remove(&1, second(1)), Some(11));
    map.clear();
    assert_eq!((map.len(), map.bytes(), map.gauge().count().bytes), (0, 0, 0));
}

#[test]
fn a_sweep_goes_no_further_than_it_may() {
    let mut map = map(100, 1_000, Policy::Refuse);
    (0..50).for_each(|n| drop(map.insert(n, n, 1, second(0))));
    (50..60).for_each(|n| drop(map.insert(n, n, 1, second(5))));
    assert_eq!([30, 30, 30].map(|max| map.sweep(second(10), max)), [30, 20, 0]);
    assert_eq!(map.len(), 10);
}

#[derive(Clone, Debug)]
enum Act {
    Insert(u32, u64),
    Get(u32),
    Remove(u32),
    Sweep(usize),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0u32..8, 0u64..12).prop_map(|(key, bytes)| Act::Insert(key, bytes)),
        2 => (0u32..8).prop_map(Act::Get),
        1 => (0u32..8).prop_map(Act::Remove),
        1 => (0usize..4).prop_map(Act::Sweep),
        2 => (0u64..6).prop_map(Act::Pass),
    ]
}

/// The plainest thing that could be right: entries in a list, by age.
#[derive(Default)]
struct Model {
    list: Vec<(u32, u32, u64, u64)>,
}

impl Model {
    fn young(&self, now: u64) -> Vec<(u32, u32, u64, u64)> {
        self.list.iter().copied().filter(|(.., born)| now - born < 10).collect()
    }

    fn insert(&mut self, entry: (u32, u32, u64, u64), entries: usize, bytes: u64, policy: Policy) -> Option<Full> {
        let mut others = self.young(entry.3);
        others.retain(|other| other.0 != entry.0);
        let full = |list: &[(u32, u32, u64, u64)]| {
            let sum: u64 = list.iter().map(|other| other.2).sum();
            if list.len() >= entries { Some(Full::Entries) } else { (sum + entry.2 > bytes).then_some(Full::Bytes) }
        };
        if entry.2 > bytes {
            return Some(Full::TooLarge);
        }
        while let Some(full) = full(&others) {
            if policy == Policy::Refuse {
                return Some(full);
            }
            others.remove(0);
        }
        others.push(entry);
        self.list = others;
        None
    }
}

proptest! {
    /// Whatever is done, the map answers as the model does and keeps its bounds.
    #[test]
    fn it_answers_as_the_model(
        acts in prop::collection::vec(act(), 0..80),
        entries in 1usize..6,
        bytes in 1u64..30,
        evict in any::<bool>(),
    ) {
        let policy = if evict { Policy::EvictOldest } else { Policy::Refuse };
        let mut map = map(entries, bytes, policy);
        let mut model = Model::default();
        let mut now = 0;
        for (n, act) in acts.into_iter().enumerate() {
            match act {
                Act::Insert(key, size) => {
                    let old = model.young(now).iter().find(|entry| entry.0 == key).map(|entry| entry.1);
                    let expected = model.insert((key, n as u32, size, now), entries, bytes, policy);
                    let got = map.insert(key, n as u32, size, second(now));
                    match expected {
                        None => prop_assert_eq!(got, Ok(old)),
                        Some(full) => prop_assert_eq!(got, Err(Refused { value: n as u32, full })),
                    }
                }
                Act::Get(key) => {
                    let expected = model.young(now).iter().find(|entry| entry.0 == key).map(|entry| entry.1);
                    prop_assert_eq!(map.get(&key, second(now)).copied(), expected);
                }
                Act::Remove(key) => {
                    let expected = model.young(now).iter().find(|entry| entry.0 == key).map(|entry| entry.1);
                    prop_assert_eq!(map.remove(&key, second(now)), expected);
                    model.list.retain(|entry| entry.0 != key);
                }
                Act::Sweep(max) => {
                    let before = map.len();
                    let swept = map.sweep(second(now), max);
                    prop_assert!(swept <= max && map.len() == before - swept);
                    prop_assert!(swept == max || map.len() == model.young(now).len());
                }
                Act::Pass(seconds) => now += seconds,
            }
            prop_assert!(map.len() <= entries && map.bytes() <= bytes);
            prop_assert_eq!(map.len(), map.ages.len());
            prop_assert_eq!(map.bytes(), map.entries.values().map(|entry| entry.bytes).sum::<u64>());
            for entry in model.young(now) {
                prop_assert_eq!(map.get(&entry.0, second(now)), Some(&entry.1));
            }
            let Count { entries: told, bytes: told_bytes, .. } = map.gauge().count();
            prop_assert_eq!((told, told_bytes), (Some((map.len() as u64, entries as u64)), map.bytes()));
        }
        map.sweep(second(now + 10), usize::MAX);
        prop_assert_eq!((map.len(), map.bytes()), (0, 0));
    }
}
