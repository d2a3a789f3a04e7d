//! Whether a server is well, in words: what was measured, where the threshold is, and what to do.

mod bundle;
mod examine;
mod finding;
mod tar;

pub(crate) use bundle::{Bundle, write};
pub(crate) use examine::examine;
pub(crate) use finding::Finding;
