//! `staunch version`.

use serde_json::json;

use crate::cli::Json;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::Terminal;

/// Prints the version.
pub(super) fn run(json: Json, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if json.json {
        terminal.json(&json!({ "name": "staunch", "version": version }))?;
    } else {
        terminal.line(format_args!("staunch {version}"));
    }
    Ok(Exit::Ok)
}
