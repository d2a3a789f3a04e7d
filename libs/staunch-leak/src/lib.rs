//! Gates that fail on a leak, and a verdict on whether a running process leaks.
//!
//! | module | what it does |
//! |---|---|
//! | [`alloc`] | counts live bytes and blocks, and can say where those that stay were allocated |
//! | [`census`] | what a process holds: memory, file descriptors, threads, children, files, and counts of its own |
//! | [`gate`] | runs a body again and again: everything must be as it was, exactly |
//! | `fault` (feature `faults`) | fails, cancels or kills it at each point in turn: everything must be as it was |
//! | [`watch`] | from a sample a second, in fixed memory: stable, filling, growing or leak |
//!
//! A test binary installs the allocator once, and then every test is a few lines:
//!
//! ```
//! #[global_allocator]
//! static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
//!
//! staunch_leak::test! {
//!     fn a_list_is_freed() {
//!         let list = vec![1, 2, 3];
//!         assert_eq!(list.len(), 3);
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! Linux only: what a process holds is read from `/proc`. Without the feature `sites` leaks are counted but not located.
#![deny(unsafe_code)]

pub mod alloc;
pub mod census;
#[cfg(feature = "faults")]
pub mod fault;
pub mod gate;
pub mod watch;

pub use alloc::Counting;
pub use census::Census;
pub use gate::{Options, no_growth};
pub use staunch_bounded::fault_point;
