//! `staunch cancel`.

use serde_json::json;

use super::invoke::client;
use crate::cli::{AllFlags, Cancel};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::Terminal;

/// Asks a run to stop.
pub(super) fn run(arguments: &Cancel, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let client = client(&arguments.server, all, terminal)?;
    let run = client.resolve(&arguments.run.id)?;
    client.cancel(&run, arguments.force)?;
    if arguments.json.json {
        terminal.json(&json!({ "run": run, "cancel_requested": true, "force": arguments.force }))?;
    } else {
        let how = if arguments.force { "without clean-up" } else { "clean-up steps still run" };
        terminal.say(format_args!("cancelling {run}: {how}"));
    }
    Ok(Exit::Ok)
}
