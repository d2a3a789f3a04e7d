//! `staunch completions`.

use clap::CommandFactory;

use crate::cli::{Cli, Completions};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::Terminal;

/// Prints the completion script of a shell.
pub(super) fn run(arguments: &Completions, terminal: &mut Terminal) -> Result<Exit, Failure> {
    // Into memory first: the generator panics if its output goes away.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "staunch", &mut script);
    terminal.bytes(&script);
    Ok(Exit::Ok)
}
