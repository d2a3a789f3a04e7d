//! Tests of the census.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::{Census, Count, Counted, Gauge, Reason};
use crate::Budget;

#[test]
fn a_gauge_tells_sizes_bounds_and_reasons() {
    let gauge = Gauge::new("g", 10, 100);
    gauge.holds(2, 30);
    gauge.lost_one(Reason::Expired);
    gauge.lost_one(Reason::Evicted);
    gauge.lost_one(Reason::Evicted);
    (0..3).for_each(|_| gauge.lost_one(Reason::Refused));
    let told =
        Count { name: "g", entries: Some((2, 10)), bytes: 30, bytes_max: 100, expired: 1, evicted: 2, refused: 3 };
    assert_eq!(gauge.count(), told);
}

#[test]
fn a_budget_is_counted_by_its_bytes() {
    let census = Census::default();
    let budget = Budget::root("b", 10);
    census.register(&budget);
    let held = budget.try_reserve(7).unwrap();
    assert!(budget.try_reserve(7).is_err());
    let [told] = census.counts().try_into().unwrap();
    assert_eq!((told.name, told.entries, told.bytes, told.bytes_max, told.refused), ("b", None, 7, 10, 1));
    drop(held);
    assert_eq!(census.counts()[0].bytes, 0);
}

#[test]
fn the_dead_are_forgotten_and_take_no_room() {
    let census = Census::default();
    let stays = Gauge::new("stays", 1, 1);
    census.register(&stays);
    for _ in 0..10_000 {
        census.register(&Gauge::new("goes", 1, 1));
    }
    assert_eq!(census.counts().iter().map(|count| count.name).collect::<Vec<_>>(), ["stays"]);
    assert!(census.members().all.capacity() <= 64);
}
