//! Measurements of the whole binary against floors and peers.

mod client;
mod dag;
mod disk;
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
