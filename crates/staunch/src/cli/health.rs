//! The command line of what looks at the server itself.

use std::path::PathBuf;
use std::time::Duration;

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

/// `staunch top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Between two looks, such as `1s`
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = crate::render::parse_duration)]
    pub(crate) every: Duration,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// `staunch doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Also write what was seen into a tar file: memory, metrics, configuration, version; no secret is in it
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}
