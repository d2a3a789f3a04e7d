//! The listener for whoever looks into the process: heap profiles, on an address of their own, for holders of an admin's token only.
//!
//! A profile tells much of a program, and taking one stops it for a moment. So none of this is on the server's own address, whatever
//! stands in the access table; it listens only where programs of this machine come; and each request needs a token of scope `admin`
//! of a user who is one. Being on the machine is not enough, not even while there is no admin.

mod heap;
mod listen;
mod routes;
mod turn;

pub(crate) use listen::SocketFile;
pub use listen::{DebugListen, DebugListenError};
pub(crate) use routes::open;
