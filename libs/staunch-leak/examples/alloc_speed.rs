//! What counting costs: an allocation of 64 bytes and its free, by the system's allocator alone, counted, and recorded.
//!
//! `cargo run --release -p staunch-leak --example alloc_speed`; the last line is JSON, in nanoseconds a pair.
#![expect(clippy::print_stdout, reason = "it is its output")]
#![expect(unsafe_code, reason = "allocators are called directly, so that all three run in one process")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::time::Instant;

use staunch_leak::{Census, Counting, alloc};

/// Best of so many, as whoever else runs on the machine only ever makes it slower.
const TRIES: usize = 600;

fn pair(allocator: &(impl GlobalAlloc + ?Sized), layout: Layout) {
    // SAFETY: the layout is not empty, and the block goes back to the allocator and with the layout it came with.
    unsafe {
        let block = black_box(allocator.alloc(layout));
        assert!(!block.is_null());
        allocator.dealloc(block, layout);
    }
}

/// Nanoseconds a pair in each of `threads` threads at once.
fn nanos(allocator: &(impl GlobalAlloc + Sync), threads: usize, pairs: u32) -> f64 {
    let layout = Layout::new::<[u64; 8]>();
    let run = || {
        let begun = Instant::now();
        (0..pairs).for_each(|_| pair(allocator, layout));
        begun.elapsed().as_nanos() as f64 / f64::from(pairs)
    };
    let once = || {
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            all.into_iter().map(|thread| thread.join().unwrap_or(f64::MAX)).fold(0.0, f64::max)
        })
    };
    (0..TRIES).map(|_| once()).fold(f64::MAX, f64::min)
}

fn main() {
    /// Short enough to lie within one time slice.
    const PAIRS: u32 = 20_000;
    let counting = Counting::new();
    let (alone, counted) = (nanos(&System, 1, PAIRS), nanos(&counting, 1, PAIRS));
    let (two, two_counted) = (nanos(&System, 2, PAIRS), nanos(&counting, 2, PAIRS));
    let recorded = {
        let _recording = alloc::record();
        nanos(&counting, 1, 200)
    };
    let begun = Instant::now();
    for _ in 0..1_000 {
        black_box(Census::take(None, &[]));
    }
    let census = begun.elapsed().as_nanos() as f64 / 1_000.0;
    println!(
        "system {alone:.1} ns, counted {counted:.1} ns; two threads {two:.1} and {two_counted:.1} ns; recorded {recorded:.0} ns"
    );
    println!(
        "{{\"system_ns\":{alone:.2},\"counting_ns\":{counted:.2},\"system_2_threads_ns\":{two:.2},\
         \"counting_2_threads_ns\":{two_counted:.2},\"recording_ns\":{recorded:.0},\"census_ns\":{census:.0}}}"
    );
}
