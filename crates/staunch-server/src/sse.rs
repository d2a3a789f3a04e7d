//! The live stream: a cursor a topic, no queue a client.
//!
//! A stream holds its places, and at most one page of what is next. It waits for the feed, reads what is new from the store
//! and from the logs, and hands it to the socket; while the socket is full it reads nothing. Each event's `id` is the place of
//! all topics after it, so that a client that was cut goes on exactly there.

mod follow;
mod open;
mod pace;
mod page;
mod seat;
mod stream;
#[cfg(test)]
mod tests;
mod topic;

pub(crate) use open::open;
pub(crate) use seat::{Seat, Seats};
