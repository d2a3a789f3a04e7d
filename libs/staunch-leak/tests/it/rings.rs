//! What a watch remembers takes what it says, and never more: measured by the allocator, not by itself.

use std::time::Duration;

use staunch_leak::alloc::tally;
use staunch_leak::watch::{RESOURCES_MAX, Resource, Sample, Watch};

#[test]
fn rings_take_under_a_megabyte_for_ever() {
    let before = tally();
    let mut watch = Watch::new(vec![Resource::bytes("live"); RESOURCES_MAX]);
    let taken = tally().bytes - before.bytes;
    assert!((watch.memory_bytes() as u64..1_000_000).contains(&taken), "{taken} of {}", watch.memory_bytes());
    // Fifty days by the half minute, which fills the longest ring and turns it over, and a verdict a day.
    for turn in 0..50 * 2_880u64 {
        for resource in 0..RESOURCES_MAX {
            let at = Duration::from_secs(turn * 30);
            watch.sample(resource, Sample { at, runs: turn, quiescent: turn % 3 == 0, value: turn % 7 });
        }
        if turn % 2_880 == 0 {
            drop(watch.verdicts());
        }
    }
    assert_eq!(tally().bytes - before.bytes, taken);
    drop(watch);
    assert_eq!(tally().bytes, before.bytes);
}
