//! Nothing grows, whatever is asked of a server: real sockets, a real store, everything counted exactly.

mod accounts;
mod pages;
mod reads;
mod refusals;
mod runs;
mod streams;
mod whole;
pub(crate) mod world;
