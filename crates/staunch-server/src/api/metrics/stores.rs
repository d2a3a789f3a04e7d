//! The metrics of all bounded stores in memory, as the census counts them. Their names are ours.

use std::fmt;

use staunch_bounded::Count;

use super::sheet::Sheet;

/// Writes how full each is, how full it may be, and what it let go of and why.
pub(super) fn tell(counts: &[Count], to: &mut Sheet<'_>) -> fmt::Result {
    let by = |number: fn(&Count) -> u64| counts.iter().map(move |count| (count.name, number(count)));
    to.gauges("staunch_store_bytes", "Bytes held, by bounded store", "store", by(|count| count.bytes))?;
    let most = by(|count| count.bytes_max);
    to.gauges("staunch_store_limit_bytes", "Bytes that may be held, by bounded store", "store", most)?;
    let entries = || counts.iter().filter_map(|count| count.entries.map(|entries| (count.name, entries)));
    let held = entries().map(|(name, (held, _))| (name, held));
    to.gauges("staunch_store_entries", "Entries held, by bounded store", "store", held)?;
    let most = entries().map(|(name, (_, most))| (name, most));
    to.gauges("staunch_store_limit_entries", "Entries that may be held, by bounded store", "store", most)?;
    let lost = counts.iter().flat_map(|count| {
        [([count.name, "ttl"], count.expired), ([count.name, "capacity"], count.evicted)].into_iter()
    });
    let help = "Entries that were let go of, by bounded store: too old, or making room";
    to.totals_by_two("staunch_store_evictions", help, ["store", "reason"], lost)?;
    let refused = by(|count| count.refused);
    to.totals("staunch_store_reject", "Entries or bytes that found no room, by bounded store", "store", refused)
}
