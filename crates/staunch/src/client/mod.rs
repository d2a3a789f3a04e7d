//! The HTTP client: asks a server, and follows a run over its live stream.

mod accounts;
mod credential;
mod http;
mod listen;
mod memory;
mod problem;
mod sse;
mod stream;
mod topics;

pub(crate) use http::Client;
pub(crate) use stream::{RemoteNews, Wanted, of_page};
