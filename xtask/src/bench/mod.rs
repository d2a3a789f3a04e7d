//! Measurements of the whole binary, or of one library, against floors and peers.

mod accounting;
mod client;
mod csrf;
mod dag;
mod disk;
mod guard;
mod idle;
mod latency;
mod rate;
mod runs;
mod serve;
mod spawn;
mod start;
mod statistics;
#[cfg(test)]
mod tests;

pub(crate) use start::run;
