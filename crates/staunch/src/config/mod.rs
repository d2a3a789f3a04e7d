//! The configuration: flags, then `STAUNCH_*`, then the systemd credential, then one file, then defaults.

mod bytes;
mod file;
mod guards;
mod key;
mod layer;
mod origin;
mod place;
mod resolved;
mod span;

pub(crate) use layer::Sources;
pub(crate) use origin::{Origin, Setting};
pub(crate) use resolved::{Config, Shown};

#[cfg(test)]
mod tests;
