//! Runs in this process, without a server.

mod news;
mod room;
mod temporary;

pub(crate) use news::{LocalNews, tail};
pub(crate) use room::{LEASE, Room, absolute, keeper, left_over, make_data, open_store, refused};
pub(crate) use temporary::temporary;
