//! `staunch rerun`.

use staunch_server::wire::{RerunRequest, Which};
use staunch_store::RunId;

use super::invoke::{client, runtime};
use super::watch::{Watching, accepted, watch};
use crate::cli::{AllFlags, Rerun};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::Followed;
use crate::interrupt::Interrupts;
use crate::render::Terminal;

/// Runs a run again, as a new run, and follows that.
pub(super) fn run(arguments: Rerun, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let client = client(&arguments.server, all, terminal)?;
    let earlier = client.resolve(&arguments.run.id)?;
    let request = match (arguments.failed, arguments.from) {
        (true, _) => RerunRequest { which: Some(Which::Failed), from: None },
        (false, Some(step)) => RerunRequest { which: None, from: Some(step) },
        (false, None) => RerunRequest { which: Some(Which::All), from: None },
    };
    let new = client.rerun(&earlier, &request, &RunId::generate().to_string())?;
    if arguments.detach {
        return accepted(&new, arguments.json, terminal);
    }
    let watching = Watching { wait: arguments.wait, json: arguments.json };
    let run = Followed::Remote(client, new.id);
    runtime()?.block_on(async { watch(&run, watching, Interrupts::new()?, terminal).await })
}
