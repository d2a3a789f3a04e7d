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

const fn key(name: &'static str, env: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { name, env, default, doc }
}

/// The keys outside `[limits]`. A name with a dot is a line of a table: `rate.login` is `login` below `[rate]`.
pub(crate) const KEYS: [Key; 21] = [
    key(
        "data",
        "STAUNCH_DATA",
        "`$STATE_DIRECTORY`, else `~/.local/share/staunch`",
        "Where runs, logs and the database are kept.",
    ),
    key(
        "listen",
        "STAUNCH_LISTEN",
        "`127.0.0.1:7878`",
        "Where the server listens. Others than a loopback address only once there is an admin.",
    ),
    key(
        "workflows",
        "STAUNCH_WORKFLOWS",
        "`workflows` in the data directory",
        "The directory of workflow files, followed while the server runs.",
    ),
    key(
        "memory_bytes",
        "STAUNCH_MEMORY_BYTES",
        "the cgroup's limit, else the machine's memory",
        "What the server may use. It does not start if its limits sum to more.",
    ),
    key(
        "log_level",
        "STAUNCH_LOG_LEVEL",
        "`info`",
        "`error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,staunch_engine=debug`.",
    ),
    key(
        "debug_listen",
        "STAUNCH_DEBUG_LISTEN",
        "none",
        "Where heap profiles are to be had, for tokens of scope `admin` of admins: a loopback address such as `127.0.0.1:7879`, or `unix:` and \
         the path of a socket.",
    ),
    key(
        "public_url",
        "STAUNCH_PUBLIC_URL",
        "none",
        "Where browsers reach the server, such as `https://staunch.example.org`, without a path. With `https` its cookies are `Secure`.",
    ),
    key(
        "hosts",
        "STAUNCH_HOSTS",
        "none",
        "A list of names that the `Host` header may have, besides that of `public_url`, loopback names and IP addresses.",
    ),
    key(
        "trusted_proxies",
        "STAUNCH_TRUSTED_PROXIES",
        "none",
        "A list of addresses or blocks, such as `10.1.0.0/16`: proxies that are believed when they say for whom they ask.",
    ),
    key(
        "client_header",
        "STAUNCH_CLIENT_HEADER",
        "`none`",
        "Where the trusted proxies say it: `x-forwarded-for`, `forwarded`, or the name of a header that holds one address.",
    ),
    key("session_idle", "STAUNCH_SESSION_IDLE", "`2h`", "A browser's session ends after this long without a request."),
    key(
        "session_absolute",
        "STAUNCH_SESSION_ABSOLUTE",
        "`12h`",
        "A browser's session ends after this long in any case.",
    ),
    key("rate.login", "STAUNCH_RATE_LOGIN", "`5/1m`", "Failed logins from one address."),
    key("rate.account", "STAUNCH_RATE_ACCOUNT", "`20/15m`", "Failed logins of one account, from anywhere."),
    key("rate.register", "STAUNCH_RATE_REGISTER", "`3/1m`", "Set-ups from one address."),
    key("rate.password", "STAUNCH_RATE_PASSWORD", "`3/1h`", "Passwords that are given again and are wrong."),
    key("rate.email", "STAUNCH_RATE_EMAIL", "`3/1h`", "E-mails of one user. Nothing sends e-mail yet."),
    key(
        "rate.api",
        "STAUNCH_RATE_API",
        "`100/15m`",
        "Requests without credentials from one address, once a login is needed.",
    ),
    key(
        "rate.api_token",
        "STAUNCH_RATE_API_TOKEN",
        "`6000/1m`",
        "Requests of one user by their sessions, or of one API token.",
    ),
    key("server", "STAUNCH_URL", "`http://127.0.0.1:7878`", "The server that the command line asks."),
    key(
        "token_file",
        "STAUNCH_TOKEN_FILE",
        "none",
        "A file with the API token that the command line sends; `$STAUNCH_TOKEN` wins over it.",
    ),
];

/// The keys that hold a list: an array of strings in a file, words with commas between in a variable.
const LISTS: [&str; 2] = ["hosts", "trusted_proxies"];

/// Whether a key holds a list.
pub(super) fn is_list(name: &str) -> bool {
    LISTS.contains(&name)
}

/// The prefix of the keys below `[rate]`.
pub(super) const RATE: &str = "rate.";

/// The prefix of the variables that set rates.
pub(super) const RATE_ENV: &str = "STAUNCH_RATE_";

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
