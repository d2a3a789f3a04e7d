//! Every key there is, for the manual, for `config show` and for the check of unknown ones.

#[cfg(test)]
use staunch_engine::{LimitDoc, Limits};

/// A key outside `[limits]`.
#[cfg_attr(not(test), expect(dead_code, reason = "the words are the manual's, and a test holds its page to them"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// The environment variable that sets it.
    pub(crate) env: &'static str,
    /// Its default, in words.
    pub(crate) default: &'static str,
    /// What it does.
    pub(crate) doc: &'static str,
}

/// The keys outside `[limits]`.
pub(crate) const KEYS: [Key; 6] = [
    Key {
        name: "data",
        env: "STAUNCH_DATA",
        default: "`$STATE_DIRECTORY`, else `~/.local/share/staunch`",
        doc: "Where runs, logs and the database are kept.",
    },
    Key {
        name: "listen",
        env: "STAUNCH_LISTEN",
        default: "`127.0.0.1:7878`",
        doc: "Where the server listens; a loopback address.",
    },
    Key {
        name: "workflows",
        env: "STAUNCH_WORKFLOWS",
        default: "`workflows` in the data directory",
        doc: "The directory of workflow files, followed while the server runs.",
    },
    Key {
        name: "memory_bytes",
        env: "STAUNCH_MEMORY_BYTES",
        default: "the cgroup's limit, else the machine's memory",
        doc: "What the server may use. It does not start if its limits sum to more.",
    },
    Key {
        name: "log_level",
        env: "STAUNCH_LOG_LEVEL",
        default: "`info`",
        doc: "`error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,staunch_engine=debug`.",
    },
    Key {
        name: "server",
        env: "STAUNCH_URL",
        default: "`http://127.0.0.1:7878`",
        doc: "The server that the command line asks.",
    },
];

/// The prefix of the variables that set limits.
pub(crate) const LIMIT_ENV: &str = "STAUNCH_LIMITS_";

/// The environment variable that sets a limit.
pub(crate) fn limit_env(name: &str) -> String {
    format!("{LIMIT_ENV}{}", name.to_uppercase())
}

/// The limits as the manual shows them, in Markdown.
#[cfg(test)]
pub(crate) fn limits_table() -> String {
    let row =
        |limit: &LimitDoc| format!("| `{}` | {} | {} | {} |\n", limit.name, limit.value, limit.unit, limit.doc.trim());
    let rows = Limits::default().table().iter().map(row).collect::<String>();
    format!("| key | default | unit | what it bounds |\n|---|---:|---|---|\n{rows}")
}

/// The keys outside `[limits]` as the manual shows them, in Markdown.
#[cfg(test)]
pub(crate) fn keys_table() -> String {
    let row = |key: &Key| format!("| `{}` | `{}` | {} | {} |\n", key.name, key.env, key.default, key.doc);
    format!(
        "| key | variable | default | what it is |\n|---|---|---|---|\n{}",
        KEYS.iter().map(row).collect::<String>()
    )
}
