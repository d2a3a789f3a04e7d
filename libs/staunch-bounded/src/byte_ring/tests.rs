//! Tests of byte rings.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::ByteRing;
use crate::Budget;

fn tail(ring: &ByteRing) -> Vec<u8> {
    ring.tail().collect()
}

#[test]
fn below_at_and_over_the_bounds() {
    let all: Vec<u8> = (0..=255).collect();
    for (len, head, tail_from, lost) in [
        (0, 0, 0, 0),
        (9, 9, 9, 0),
        (10, 10, 10, 0),
        (29, 10, 10, 0),
        (30, 10, 10, 0),
        (31, 10, 11, 1),
        (256, 10, 236, 226),
    ] {
        for step in [1, 7, 300] {
            let mut ring = ByteRing::new(10, 20);
            all[..len].chunks(step).for_each(|chunk| ring.push(chunk));
            assert_eq!(ring.head(), &all[..head]);
            assert_eq!(tail(&ring), &all[tail_from..len]);
            assert_eq!((ring.lost(), ring.seen(), ring.is_empty()), (lost, len as u64, len == 0));
            assert!(ring.allocated() <= 30);
        }
    }
}

#[test]
fn a_ring_without_bounds_to_fill_holds_nothing() {
    let mut ring = ByteRing::new(0, 0);
    ring.push(b"abc");
    assert_eq!((ring.len(), ring.lost(), ring.allocated()), (0, 3, 0));
}

#[test]
fn it_never_allocates_more_than_its_bounds() {
    let mut ring = ByteRing::new(32 << 10, 32 << 10);
    let mut most = 0;
    for n in 0..3_000 {
        ring.push(&vec![b'x'; 1 + n % 97]);
        most = most.max(ring.allocated());
    }
    assert_eq!(most, 64 << 10);
}

#[test]
fn a_small_stream_allocates_little() {
    let mut ring = ByteRing::new(32 << 10, 32 << 10);
    ring.push(b"hello\n");
    assert!(ring.allocated() <= 512);
}

#[test]
fn a_charged_ring_below_at_and_over_its_budget_and_back_to_zero() {
    for (limit, lost) in [(60, 0), (50, 0), (49, 1), (10, 40), (0, 50)] {
        let budget = Budget::root("captures", limit);
        let mut ring = ByteRing::charged(25, 25, &budget);
        let all: Vec<u8> = (0..50).collect();
        all.chunks(3).for_each(|chunk| ring.push(chunk));
        assert_eq!((ring.lost(), budget.used()), (lost, ring.allocated() as u64));
        assert!(all.starts_with(ring.head()) && all.ends_with(&tail(&ring)));
        drop(ring);
        assert_eq!(budget.used(), 0);
    }
}

#[test]
fn a_refused_ring_grows_again_once_there_is_room() {
    let budget = Budget::root("captures", 1_000);
    let held = budget.try_reserve(1_000).unwrap();
    let mut ring = ByteRing::charged(100, 800, &budget);
    (0..10).for_each(|_| ring.push(&[b'x'; 100]));
    assert_eq!((ring.len(), ring.lost()), (0, 1_000));
    let refused = budget.refused();
    drop(held);
    (0..20).for_each(|_| ring.push(&[b'y'; 100]));
    // The head is a prefix of the stream: it stays empty.
    assert_eq!((ring.head().len(), tail(&ring)), (0, vec![b'y'; 800]));
    assert!(refused < 20, "{refused}");
}

proptest! {
    /// A ring of any bounds, charged or not, tells what the whole stream's ends are.
    #[test]
    fn head_and_tail_are_those_of_the_stream(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..30),
        head_max in 0usize..900,
        tail_max in 0usize..900,
        limit in prop::option::of(0u64..2_000),
    ) {
        let budget = Budget::root("captures", limit.unwrap_or(0));
        let mut ring = match limit {
            Some(_) => ByteRing::charged(head_max, tail_max, &budget),
            None => ByteRing::new(head_max, tail_max),
        };
        let mut all = Vec::new();
        for chunk in &chunks {
            ring.push(chunk);
            all.extend(chunk);
            let tail = tail(&ring);
            prop_assert!(all.starts_with(ring.head()) && all.ends_with(&tail));
            prop_assert!(ring.head().len() <= head_max && tail.len() <= tail_max);
            prop_assert_eq!(ring.lost() + ring.len() as u64, all.len() as u64);
            prop_assert!(ring.allocated() <= head_max + tail_max);
            if limit.is_none_or(|limit| limit >= (head_max + tail_max) as u64) {
                prop_assert_eq!(ring.len(), all.len().min(head_max + tail_max));
            }
            prop_assert_eq!(budget.used(), if limit.is_some() { ring.allocated() as u64 } else { 0 });
        }
        drop(ring);
        prop_assert_eq!(budget.used(), 0);
    }
}
