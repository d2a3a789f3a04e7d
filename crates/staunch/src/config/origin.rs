//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from; the later ones here lose to the earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag of the command line, such as `--data`.
    Flag(&'static str),
    /// An environment variable, such as `STAUNCH_DATA`.
    Env(String),
    /// The systemd credential `staunch.toml`, at this line.
    Credential(PathBuf, usize),
    /// The configuration file, at this line.
    File(PathBuf, usize),
    /// Nobody said anything.
    Default,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Env(name) => write!(f, "${name}"),
            Self::Credential(path, line) => write!(f, "credential {}:{line}", path.display()),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}
