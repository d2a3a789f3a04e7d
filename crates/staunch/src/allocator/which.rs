//! Which allocator this is, and what it does for a server.

use staunch_server::Allocator;

/// Has the allocator do for a server what it does not do for a command: samples for heap profiles, and a thread that gives unused memory
/// back. Returns what the server is told of it.
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
pub(crate) fn begin() -> Allocator {
    use super::{dump, figures, raw};

    let profiles = raw::sample(cfg!(not(staunch_unaccounted)));
    if let Err(error) = &profiles {
        tracing::warn!(%error, "there will be no heap profiles");
    }
    if let Err(error) = tikv_jemalloc_ctl::background_thread::write(true) {
        // A sandbox that allows no more threads: memory goes back all the same, only later, when somebody allocates.
        tracing::warn!(%error, "the allocator has no thread of its own");
    }
    Allocator {
        name: "jemalloc",
        read: figures::read,
        profile: profiles.is_ok().then_some(dump::profile as fn() -> _),
        grown: Some(staunch_server::pprof::grown),
    }
}

/// The system's allocator does what it does.
#[cfg(not(all(feature = "jemalloc", target_os = "linux", target_env = "gnu")))]
pub(crate) fn begin() -> Allocator {
    Allocator::SYSTEM
}

/// Gives unused memory back to the kernel; `None`: nobody can be asked to.
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
pub(crate) fn purge() -> Option<fn() -> bool> {
    Some(super::raw::purge)
}

/// The system's allocator gives back what it gives back.
#[cfg(not(all(feature = "jemalloc", target_os = "linux", target_env = "gnu")))]
pub(crate) fn purge() -> Option<fn() -> bool> {
    None
}

/// Gives back what the start of a server took and freed: an idle server does not hold it for as long as it takes to decay.
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
pub(crate) fn settle() {
    let purged = super::raw::purge();
    tracing::debug!(purged, "what the start freed is given back");
}

/// The system's allocator settles by itself.
#[cfg(not(all(feature = "jemalloc", target_os = "linux", target_env = "gnu")))]
pub(crate) fn settle() {}
