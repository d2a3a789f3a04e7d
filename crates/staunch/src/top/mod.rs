//! What `staunch top` draws.

mod past;
mod screen;

pub(crate) use screen::{Screen, draw};
