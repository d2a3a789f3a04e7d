//! A million keys and not one allocation, under an allocator that counts. A binary of its own, since a process has one.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use http::Method;
use staunch_guard::{Caller, Client, Key, Limiter, Policy, PolicySet, Quota, Table};

struct Counting;

thread_local! {
    /// Allocations of this thread and bytes it holds: what the test harness does beside it is no business of ours.
    static COUNTS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Bytes wrap: a thread may free what another allocated.
fn count(allocations: u64, bytes: usize, freed: usize) {
    // A thread that is ending has no counts any more.
    let _ = COUNTS.try_with(|counts| {
        let (all, held) = counts.get();
        counts.set((all + allocations, held.wrapping_add(bytes as u64).wrapping_sub(freed as u64)));
    });
}

// SAFETY: every call is handed to the system's allocator as it is; counting touches no memory of the caller's and allocates
// nothing, since the counts have a constant first value and no destructor.
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: the pointer came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn counts() -> (u64, u64) {
    COUNTS.get()
}

#[test]
fn ground_g3_a_million_keys_allocate_nothing_and_all_is_freed() {
    let before = counts();
    let table = Table::new("flood", Quota::new(5, Duration::from_secs(60)).unwrap(), 1_024).unwrap();
    let limiter = Limiter::new(PolicySet::new(Policy::login().with_site().unwrap().to_vec()).unwrap()).unwrap();
    let made = counts();
    // The sets and their 8 KiB of counters, and what little stands around them.
    let (sets, around) = ((1_024 + 2 * 8_192) * 128 + 3 * 8_192, 1_024);
    assert!((sets..sets + around).contains(&(made.1 - before.1)), "{} of {sets} bytes", made.1 - before.1);

    let post = Method::POST;
    let mut admitted = 0_u64;
    for key in 0..1_000_000_u64 {
        let now = key * 1_000;
        let decision = table.check(&Key::Bytes(&key.to_le_bytes()), 1, now).unwrap();
        let client = Client::new(std::net::Ipv6Addr::from(u128::from(key) << 64).into());
        let caller = Caller { client: Some(client), ..Caller::new(&post) };
        let ruling = limiter.check(&caller, 1, &|| now).unwrap();
        admitted += u64::from(decision.is_allowed()) + u64::from(ruling.is_allowed());
        limiter.refund(ruling, &|| now);
        if key % 4_096 == 0 {
            table.sweep(now, 256);
            limiter.sweep(now, 256);
            table.reset(&Key::Bytes(&key.to_le_bytes()));
        }
    }
    let stats = table.stats(0);
    assert_eq!(counts(), made, "not one allocation");
    assert!(admitted > 0 && stats.denied > 0 && stats.hot_evictions > 0, "{stats:?}");

    drop((table, limiter));
    assert_eq!(counts().1, before.1, "back to where it was");
}
