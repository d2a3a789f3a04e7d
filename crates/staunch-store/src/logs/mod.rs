//! What steps said: one file an attempt while it runs, sealed when it is over.
//!
//! A log is a sequence of records, each a stretch of bytes of one stream with its time. While the attempt runs they are
//! written to a raw file; [`LogWriter::seal`] turns that into a compressed file, or into bytes for the database if they
//! are few. A reader holds no state here: it names a cursor and gets what follows.
//!
//! The raw file is a sequence of 64 KiB blocks: the head, and then a ring of slots for the tail. A log within its cap lies
//! there in order. Beyond the cap the newest block takes the place of the oldest one of the tail, so that a step that
//! writes 10 GB dirties the same few pages again and again, on any filesystem, and never takes more disk than the cap and
//! a block. Each record carries a check over itself and its place in the log, so that what an overwritten block still
//! holds of its past, or what a crash tore, is never taken for a record. Each block begins with a mark that says how many
//! bytes were written before it; the difference to what is there is exactly what fell out.

mod directory;
mod frame;
mod layout;
mod lines;
mod name;
mod raw;
mod reader;
mod recovery;
mod sealed;
mod source;
mod writer;

#[cfg(test)]
mod tests;

pub use directory::Logs;
pub use frame::Stream;
pub use lines::{Line, Lines};
pub use name::LogName;
pub use reader::{LogPage, Record};
pub use recovery::Recovered;
pub use writer::LogWriter;
