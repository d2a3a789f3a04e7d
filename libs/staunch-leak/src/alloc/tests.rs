#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Barrier;

use super::*;
use crate::{Options, no_growth};

#[global_allocator]
static COUNTING: Counting = Counting::new();

/// The allocator is the process's and the harness runs tests side by side; each test that needs quiet runs alone.
fn alone(name: &str, body: impl FnOnce()) {
    crate::gate::alone(&format!("alloc::tests::{name}"), body);
}

#[test]
fn bytes_and_blocks_are_those_that_were_asked_for() {
    alone("bytes_and_blocks_are_those_that_were_asked_for", || {
        let before = tally();
        let mut grown: Vec<u8> = Vec::with_capacity(10);
        let small = tally();
        grown.reserve_exact(1_000);
        let large = tally();
        let zeroed = vec![0u64; 100];
        let with_zeroed = tally();
        drop((grown, zeroed));
        let after = tally();
        let since =
            |now: Tally| (now.bytes - before.bytes, now.blocks - before.blocks, now.allocations - before.allocations);
        assert_eq!(
            [small, large, with_zeroed, after].map(since),
            [(10, 1, 1), (1_000, 1, 2), (1_800, 2, 3), (0, 0, 3)]
        );
    });
}

#[test]
fn a_thread_frees_what_another_allocated() {
    alone("a_thread_frees_what_another_allocated", || {
        let round = || {
            let (sender, receiver) = std::sync::mpsc::sync_channel::<Vec<u8>>(4);
            std::thread::scope(|scope| {
                scope.spawn(move || receiver.iter().map(|block| block.len()).sum::<usize>());
                for _ in 0..100 {
                    sender.send(vec![1; 100]).unwrap();
                }
                drop(sender);
            });
        };
        let before = tally();
        no_growth(&Options::default().rounds(80), round).unwrap();
        assert!(tally().allocations >= before.allocations + 8_000);
    });
}

#[test]
fn many_threads_at_once_are_counted_exactly() {
    alone("many_threads_at_once_are_counted_exactly", || {
        let churn = |barrier: &Barrier| {
            barrier.wait();
            for size in 1..2_000 {
                drop(std::hint::black_box(vec![0u8; size]));
            }
        };
        let crowd = || {
            let barrier = Barrier::new(8);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| churn(&barrier));
                }
            });
        };
        no_growth(&Options::default().rounds(5), crowd).unwrap();
    });
}

#[inline(never)]
fn somebody_allocates(blocks: usize) -> Vec<Vec<u8>> {
    let mut held = Vec::with_capacity(blocks);
    for _ in 0..blocks {
        held.push(vec![7; 48]);
    }
    held
}

#[test]
fn sites_are_grouped_and_named() {
    alone("sites_are_grouped_and_named", || {
        let recording = record().unwrap();
        assert!(record().is_none(), "one at a time");
        let held = std::hint::black_box(somebody_allocates(30));
        let freed = somebody_allocates(10);
        drop(freed);
        let sites = recording.sites();
        let boxes = sites.iter().find(|site| site.blocks == 30).unwrap();
        assert_eq!(boxes.bytes, 30 * 48);
        assert!(boxes.who().contains("somebody_allocates"), "{boxes}");
        assert!(boxes.who().contains("alloc/tests.rs:"), "{boxes}");
        assert!(boxes.frames.len() > 1, "{boxes}");
        drop(held);
        assert!(!recording.sites().iter().any(|site| site.who().contains("somebody_allocates")));
        assert_eq!(recording.overflow(), 0);
    });
}

#[test]
fn a_full_table_counts_what_it_cannot_remember() {
    alone("a_full_table_counts_what_it_cannot_remember", || {
        let mut held: Vec<Vec<u8>> = Vec::with_capacity(40_000);
        let recording = record().unwrap();
        held.extend((0..40_000).map(|_| vec![1]));
        // A few of the harness may be among them.
        assert!((40_000 - 28_672..40_100 - 28_672).contains(&recording.overflow()), "{}", recording.overflow());
        // Removal in another order than insertion keeps every search right.
        let mut turn = 0x1234_5678_9abc_def0u64;
        while held.len() > 100 {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            held.swap_remove((turn >> 33) as usize % held.len());
        }
        drop(held);
        let left: u64 = recording.sites().iter().map(|site| site.blocks).sum();
        assert!(left < 100, "{left} blocks left of 40,000 freed");
        drop(recording);
        assert!(record().is_some(), "the next begins with an empty table");
    });
}

#[test]
fn more_threads_than_there_are_shards_are_counted_exactly() {
    alone("more_threads_than_there_are_shards_are_counted_exactly", || {
        let round = || {
            let held = std::thread::spawn(|| vec![1u8; 1_000]).join().unwrap();
            assert_eq!(held.len(), 1_000);
        };
        // From shards of their own over the bound to the shared one.
        no_growth(&Options::default().rounds(4_200), round).unwrap();
        no_growth(&Options::default().rounds(100), round).unwrap();
    });
}
