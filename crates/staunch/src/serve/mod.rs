//! `staunch serve`: builds everything, serves, closes everything and counts what is left.

mod daemon;
mod demo;
mod door;
mod grant;
mod inject;
mod notify;
mod setup;
mod trace;
mod welcome;

pub(crate) use daemon::run;
pub(crate) use inject::SOAKED;
pub(crate) use trace::quiet;
