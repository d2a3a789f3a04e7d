//! `staunch soak`.

use super::invoke::client;
use crate::cli::{AllFlags, Soak};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::Terminal;

/// Soaks the server that --server names, or one of its own: never one that is only configured, since a load is no joke.
pub(super) fn run(arguments: &Soak, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let named = arguments.server.server.is_some();
    let foreign = named.then(|| client(&arguments.server, all, terminal)).transpose()?;
    crate::soak::run(arguments, foreign, terminal)
}
