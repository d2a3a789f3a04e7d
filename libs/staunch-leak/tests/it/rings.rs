//! What a watch remembers takes what it says, and never more: measured by the allocator, not by itself.

use std::time::Duration;

use staunch_leak::alloc::tally;
use staunch_leak::watch::{RESOURCES_MAX, Resource, Sample, Watch};

staunch_leak::alone! {
    fn rings_take_under_a_megabyte_for_ever() {
        let before = tally();
        let mut watch = Watch::new(vec![Resource::bytes("live"); RESOURCES_MAX]);
        let taken = tally().bytes - before.bytes;
        assert!((watch.memory_bytes() as u64..1_000_000).contains(&taken), "{taken} of {}", watch.memory_bytes());
        turn_over(&mut watch);
        assert_eq!(tally().bytes - before.bytes, taken);
        drop(watch);
        assert_eq!(tally().bytes, before.bytes);
    }
}

/// Fills the longest ring and turns it over: fifty days by the half minute, and a verdict a day.
fn turn_over(watch: &mut Watch) {
    const A_DAY: u64 = 2_880;
    for turn in 0..50 * A_DAY {
        for resource in 0..RESOURCES_MAX {
            let at = Duration::from_secs(turn * 30);
            watch.sample(resource, Sample { at, runs: turn, quiescent: turn % 3 == 0, value: turn % 7 });
        }
        if turn % A_DAY == 0 {
            drop(watch.verdicts());
        }
    }
}
