//! The metrics of all bounded containers, as the census counts them. Their names are ours.

use std::fmt;

use staunch_bounded::Count;

use super::sheet::Sheet;

/// Writes how full each is, how full it may be, and what it let go of and why.
pub(super) fn tell(counts: &[Count], to: &mut Sheet<'_>) -> fmt::Result {
    let by = |number: fn(&Count) -> u64| counts.iter().map(move |count| (count.name, number(count)));
    let entries = || counts.iter().filter_map(|count| count.entries.map(|entries| (count.name, entries)));
    let held = entries().map(|(name, (held, _))| (name, held));
    to.gauges("staunch_container_entries", "Entries held, by container", "container", held)?;
    let most = entries().map(|(name, (_, most))| (name, most));
    to.gauges("staunch_container_entries_limit", "Entries that may be held, by container", "container", most)?;
    to.gauges("staunch_container_bytes", "Bytes held, by container", "container", by(|count| count.bytes))?;
    let most = by(|count| count.bytes_max);
    to.gauges("staunch_container_bytes_limit", "Bytes that may be held, by container", "container", most)?;
    let expired = by(|count| count.expired);
    to.totals("staunch_container_expired", "Entries that were too old, by container", "container", expired)?;
    let evicted = by(|count| count.evicted);
    to.totals("staunch_container_evicted", "Entries that made room, by container", "container", evicted)?;
    let refused = by(|count| count.refused);
    to.totals("staunch_container_refused", "Entries or bytes that found no room, by container", "container", refused)
}
