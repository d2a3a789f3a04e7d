//! The gates themselves: red on a seeded leak of each kind, which they name, and green otherwise.
#![expect(clippy::unwrap_used, reason = "tests")]

mod green;
mod lsan;
mod red;
mod rings;
mod sweeps;

#[global_allocator]
static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
