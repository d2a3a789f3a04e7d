//! Everything that can fail fails, at each point in turn; every client breaks off, at each byte; every handler is dropped, at each
//! await. After each the server holds what it held, and whoever asked was told, by a problem with a code.

mod cancels;
mod cuts;
mod faults;
mod listener;
mod raw;
