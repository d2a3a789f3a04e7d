//! What somebody who helps needs to see, in one file: no secret is in it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use staunch_server::wire::Memory;

use super::finding::Finding;
use super::tar::Tar;
use crate::config::Config;
use crate::failure::Failure;

/// What goes in.
pub(crate) struct Bundle<'a> {
    /// What the server holds.
    pub(crate) memory: &'a Memory,
    /// Its metrics.
    pub(crate) metrics: String,
    /// Whether it is ready, in its own words, or why nobody knows.
    pub(crate) ready: String,
    /// The configuration of this command, which on the server's machine is the server's.
    pub(crate) config: &'a Config,
    /// What was found.
    pub(crate) findings: &'a [Finding],
}

/// Writes it where no file is yet, for the eyes of its owner only.
///
/// # Errors
/// The file is there already or cannot be written; then nothing of it is left.
pub(crate) fn write(bundle: &Bundle<'_>, path: &Path) -> Result<(), Failure> {
    let bytes = pack(bundle)?;
    let failed = |error: &io::Error| Failure::file("write", path, error);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| failed(&error))?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(|error| {
        // Half an archive helps nobody.
        std::fs::remove_file(path).unwrap_or_default();
        failed(&error)
    })
}

fn pack(bundle: &Bundle<'_>) -> Result<Vec<u8>, Failure> {
    let pretty = |value: &Value| serde_json::to_vec_pretty(value).map_err(|error| Failure::broken(error.to_string()));
    let of = |value: serde_json::Result<Value>| value.map_err(|error| Failure::broken(error.to_string()));
    let version = json!({
        "name": "staunch",
        "version": env!("CARGO_PKG_VERSION"),
        "os": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
    });
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let mut tar = Tar::default();
    tar.put("staunch/version.json", &pretty(&version)?, seconds);
    tar.put("staunch/findings.json", &pretty(&of(serde_json::to_value(bundle.findings))?)?, seconds);
    tar.put("staunch/memory.json", &pretty(&of(serde_json::to_value(bundle.memory))?)?, seconds);
    tar.put("staunch/metrics.txt", bundle.metrics.as_bytes(), seconds);
    tar.put("staunch/ready.txt", bundle.ready.as_bytes(), seconds);
    tar.put("staunch/config.json", &pretty(&config(bundle.config))?, seconds);
    Ok(tar.finish())
}

/// Every key with its value and origin. No key holds a secret: tokens and passwords have none. An address may hold one all the
/// same, if somebody wrote it there.
fn config(config: &Config) -> Value {
    let lines = config.shown().into_iter().map(|line| {
        let value = match line.value {
            Value::String(text) => Value::String(without_user(&text)),
            other => other,
        };
        (line.key, json!({ "value": value, "origin": line.origin.to_string() }))
    });
    Value::Object(lines.collect::<Map<_, _>>())
}

/// An address without `user:password@`.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_its_password() {
        for (given, shown) in [
            ("http://127.0.0.1:7878", "http://127.0.0.1:7878"),
            ("https://ada:secret@flows.example/x", "https://flows.example/x"),
            ("https://a@b:c@flows.example", "https://flows.example"),
            ("https://flows.example/?mail=a@b", "https://flows.example/?mail=a@b"),
            ("info", "info"),
        ] {
            assert_eq!(without_user(given), shown);
        }
    }
}
