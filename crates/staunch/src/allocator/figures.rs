//! What jemalloc holds.

use staunch_server::AllocatorFigures;
use tikv_jemalloc_ctl::{epoch, stats};

/// Reads it. It takes some ten microseconds, nearly all of them for the first line: jemalloc's figures stand still until they are told to
/// move on.
pub(super) fn read() -> Option<AllocatorFigures> {
    epoch::advance().ok()?;
    let bytes = |figure: tikv_jemalloc_ctl::Result<usize>| figure.ok().map(|bytes| bytes as u64);
    Some(AllocatorFigures {
        live_bytes: bytes(stats::allocated::read())?,
        active_bytes: bytes(stats::active::read())?,
        resident_bytes: bytes(stats::resident::read())?,
        retained_bytes: bytes(stats::retained::read())?,
        metadata_bytes: bytes(stats::metadata::read())?,
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_is_held_is_told_and_what_is_given_back_is_told_too() {
        const BYTES: u64 = 32 << 20;
        let before = read().expect("told").live_bytes;
        let held = vec![1_u8; BYTES as usize];
        let with = read().expect("told");
        assert_eq!(held.iter().map(|byte| u64::from(*byte)).sum::<u64>(), BYTES);
        drop(held);
        let after = read().expect("told").live_bytes;
        assert!((BYTES..BYTES + (8 << 20)).contains(&(with.live_bytes - before)), "{before} {with:?}");
        assert!(after < before + (8 << 20), "{before} {after}");
        assert!(with.resident_bytes >= with.active_bytes && with.active_bytes >= with.live_bytes, "{with:?}");
        assert!(with.metadata_bytes > 0, "{with:?}");
    }
}
