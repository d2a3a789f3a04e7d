//! `staunch serve`: builds everything, serves, closes everything and counts what is left.

mod daemon;
mod demo;
mod grant;
mod notify;
mod setup;
mod trace;

pub(crate) use daemon::run;
pub(crate) use trace::quiet;
