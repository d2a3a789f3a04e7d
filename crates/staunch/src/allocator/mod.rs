//! The allocator of this process, and what the server is told of it.

#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
mod dump;
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
mod figures;
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
mod heap_v2;
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
mod names;
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
mod raw;
mod which;

pub(crate) use which::{begin, purge, settle};
