//! Where things are by default: the XDG base directories for users, systemd's for a service.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// A directory variable, if it is set to an absolute path; the XDG specification says that others are to be ignored.
fn directory(env: &BTreeMap<String, OsString>, name: &str) -> Option<PathBuf> {
    env.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The data directory if nobody names one.
pub(super) fn data(env: &BTreeMap<String, OsString>) -> PathBuf {
    // systemd gives several state directories as one list with colons; ours is the first.
    let state = env.get("STATE_DIRECTORY").and_then(|list| std::env::split_paths(list).next());
    state
        .filter(|path| path.is_absolute())
        .or_else(|| directory(env, "XDG_DATA_HOME").map(|base| base.join("staunch")))
        .or_else(|| directory(env, "HOME").map(|home| home.join(".local/share/staunch")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/staunch"))
}

/// Where the configuration file may be, the first that exists counts.
pub(super) fn files(env: &BTreeMap<String, OsString>) -> Vec<PathBuf> {
    let user = directory(env, "XDG_CONFIG_HOME").or_else(|| directory(env, "HOME").map(|home| home.join(".config")));
    user.map(|base| base.join("staunch/staunch.toml"))
        .into_iter()
        .chain([PathBuf::from("/etc/staunch/staunch.toml")])
        .collect()
}

/// The systemd credential, if there is one.
pub(super) fn credential(env: &BTreeMap<String, OsString>) -> Option<PathBuf> {
    directory(env, "CREDENTIALS_DIRECTORY").map(|base| base.join("staunch.toml")).filter(|path| path.is_file())
}
