//! The command line of what looks at the server itself.

use clap::Args;

use super::{Json, Server};

/// `staunch memory`.
#[derive(Debug, Args)]
pub(crate) struct Memory {
    /// Look now at what costs more too (rows, files), instead of telling what was seen last
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}
