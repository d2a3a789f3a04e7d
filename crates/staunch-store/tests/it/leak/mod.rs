//! Nothing leaks: the store under the gates of `staunch-leak`.

mod cancellations;
mod crashes;
mod faults;
mod growth;
mod logs;
mod people;
mod runs;
mod upgrade;
mod world;
