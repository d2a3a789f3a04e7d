//! Used again and again, nothing grows.

use std::sync::Arc;
use std::time::Duration;

use staunch_bounded::{Bounds, Budget, ByteRing, Census, Charge, Full, Policy, TtlMap};
use staunch_leak::{Options, no_growth};

const SECOND: Duration = Duration::from_secs(1);

fn map(policy: Policy) -> TtlMap<String, Vec<u8>> {
    let bounds = Bounds { entries_max: 100, bytes_max: 10_000, age_max: Duration::from_secs(60) };
    TtlMap::new("sessions", bounds, policy)
}

staunch_leak::test! {
    fn ground_g6_budgets_and_charges_are_freed_with_their_owners() {
        let process = Budget::root("process", 1_000);
        let run = Budget::child("run", 500, &process);
        let mut held: Vec<Charge> = (0..50).map(|_| run.try_reserve(10).unwrap()).collect();
        assert!(run.try_reserve(1).is_err());
        held.truncate(20);
        let mut whole = held.pop().unwrap();
        let part = whole.split(4);
        whole.merge(part);
        whole.grow(100).unwrap();
        whole.shrink_to(1);
        assert_eq!(process.used(), 19 * 10 + 1);
    }

    fn ground_g6_a_ring_of_bytes_is_freed() {
        let budget = Budget::root("captures", 4_000);
        let mut ring = ByteRing::charged(3_000, 3_000, &budget);
        for n in 0..200u8 {
            ring.push(&[n; 97]);
        }
        assert!(ring.lost() > 0 && budget.used() > 0);
    }

    fn ground_g6_a_map_is_freed_with_its_entries() {
        let mut map = map(Policy::EvictOldest);
        for n in 0..1_000 {
            map.insert(format!("key {n}"), vec![0; 50], 60, SECOND * n / 10).unwrap();
        }
        assert_eq!(map.len(), 100);
    }

    fn ground_g6_a_census_keeps_nobody_alive() {
        let census = Census::default();
        for _ in 0..100 {
            census.register(&Budget::root("short-lived", 10));
        }
        assert!(census.counts().is_empty());
    }
}

/// Over more rounds and in one container that lives on: what it gives back by itself.
fn long() -> Options {
    Options::default().warm_ups(20).rounds(100)
}

staunch_leak::alone! {
    fn ground_g6_charges_that_come_and_go_leave_a_budget_as_it_was() {
        let process = Budget::root("process", 1_000_000);
        let flat = no_growth(&long().budget(&process), || {
            let run = Budget::child("run", 500, &process);
            let charge = run.try_reserve(400).unwrap();
            assert!(run.try_reserve(400).is_err());
            drop(charge);
        });
        flat.unwrap();
        assert_eq!(process.used(), 0);
    }

    fn ground_g6_a_refusal_above_leaves_nothing_charged_below() {
        let process = Budget::root("process", 100);
        let run = Budget::child("run", 1_000_000, &process);
        let held = process.try_reserve(100).unwrap();
        let flat = no_growth(&long().budget(&process).budget(&run), || assert!(run.try_reserve(1).is_err()));
        flat.unwrap();
        drop(held);
        assert_eq!((process.used(), run.used()), (0, 0));
    }

    /// A hundred and sixty a round, ten times as many as are looked for dead ones at: each round ends in the same place.
    fn ground_g6_a_census_forgets_the_dead() {
        let census = Census::default();
        let flat = no_growth(&long(), || {
            for _ in 0..160 {
                census.register(&Budget::root("short-lived", 10));
            }
        });
        flat.unwrap();
    }

    fn ground_g6_a_charge_that_stays_is_named() {
        let process = Budget::root("process", 1_000_000);
        let mut kept = Vec::with_capacity(200);
        let growth = no_growth(&Options::default().brief().budget(&process), || kept.push(process.try_reserve(7).unwrap()));
        let growth = growth.unwrap_err();
        assert!(growth.to_string().contains("count bytes on budget process: 21 -> 161 (+140)"), "{growth}");
        assert_eq!(kept.len(), 23);
    }

    fn ground_g6_a_full_ring_takes_in_without_growing() {
        let budget = Budget::root("captures", 10_000);
        let mut ring = ByteRing::charged(1_000, 1_000, &budget);
        no_growth(&long().budget(&budget), || ring.push(&[7; 333])).unwrap();
        assert_eq!(ring.len(), 2_000);
    }

    fn ground_g6_a_map_that_evicts_does_not_grow() {
        let census = Arc::new(Census::default());
        let mut map = map(Policy::EvictOldest);
        census.register(map.gauge());
        let mut n = 0;
        // A thousand entries a round through a map of a hundred, all keys new. Keys of one length, as bytes are compared.
        let flat = no_growth(&long().bounded(&census), || {
            for _ in 0..1_000 {
                n += 1;
                map.insert(format!("{n:08}"), vec![0; 50], 60, SECOND).unwrap();
            }
        });
        flat.unwrap();
        assert_eq!(map.len(), 100);
    }

    fn ground_g6_a_map_that_refuses_keeps_nothing_of_what_it_refused() {
        let mut map = map(Policy::Refuse);
        for n in 0..100 {
            map.insert(format!("{n:08}"), vec![0; 50], 60, SECOND).unwrap();
        }
        let flat = no_growth(&long(), || {
            let refused = map.insert("another".to_owned(), vec![1; 50], 60, SECOND).unwrap_err();
            assert_eq!((refused.value.len(), refused.full), (50, Full::Entries));
        });
        flat.unwrap();
    }

    fn ground_g6_a_map_that_is_swept_gives_back_all() {
        let mut map = map(Policy::Refuse);
        let mut now = SECOND;
        let flat = no_growth(&long(), || {
            for n in 0..100 {
                map.insert(format!("{n:08}"), vec![0; 50], 60, now).unwrap();
            }
            now += Duration::from_secs(61);
            assert_eq!(map.sweep(now, usize::MAX), 100);
            assert!(map.is_empty());
        });
        flat.unwrap();
    }

    /// Nobody sweeps: the bound is held by the insertions alone.
    fn ground_g6_a_map_that_nobody_sweeps_does_not_grow() {
        let mut map = map(Policy::Refuse);
        let mut now = SECOND;
        let flat = no_growth(&long(), || {
            for n in 0..100 {
                map.insert(format!("{n:08}"), vec![0; 50], 60, now).unwrap();
            }
            now += Duration::from_secs(61);
        });
        flat.unwrap();
        assert_eq!(map.len(), 100);
    }
}
