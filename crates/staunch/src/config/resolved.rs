//! The configuration as the program uses it: every key typed and checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use staunch_engine::Limits;
use staunch_server::{DebugListen, DebugListenError};

use super::guards::Guards;
use super::layer::{Layers, Sources};
use super::origin::{Origin, Setting};
use super::{bytes, place};
use crate::failure::Failure;

/// Every key, typed, each with where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where runs, logs and the database are kept.
    pub(crate) data: Setting<PathBuf>,
    /// Where the server listens.
    pub(crate) listen: Setting<SocketAddr>,
    /// The directory of workflow files.
    pub(crate) workflows: Setting<PathBuf>,
    /// What the server may use, in bytes; `None`: find out.
    pub(crate) memory_bytes: Setting<Option<u64>>,
    /// How much the server says.
    pub(crate) log_level: Setting<String>,
    /// Where heap profiles are to be had.
    pub(crate) debug_listen: Setting<Option<DebugListen>>,
    /// What the guards of the server are told.
    pub(crate) guards: Guards,
    /// The server that the command line asks.
    pub(crate) server: Setting<String>,
    /// The file with the token that the command line sends.
    pub(crate) token_file: Setting<Option<PathBuf>>,
    /// The bounds.
    pub(crate) limits: Limits,
    /// Where the limits come from that somebody set.
    limit_origins: BTreeMap<String, Origin>,
}

/// A line of `config show`.
pub(crate) struct Shown {
    /// The key.
    pub(crate) key: String,
    /// Its value: a string, a list of strings, a number or null.
    pub(crate) value: serde_json::Value,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// Of a rate: the most that is admitted in one window.
    pub(crate) worst_case: Option<u64>,
}

impl Shown {
    /// The line of a setting.
    pub(super) fn line<T>(key: &str, setting: &Setting<T>, value: impl Fn(&T) -> serde_json::Value) -> Self {
        let (value, origin) = (value(&setting.value), setting.origin.clone());
        Self { key: key.to_owned(), value, origin, worst_case: None }
    }
}

impl Config {
    /// Lays the sources over each other and checks every value.
    pub(crate) fn load(sources: &Sources) -> Result<Self, Failure> {
        let mut layers = sources.layers()?;
        let (limits, limit_origins) = limits(&layers)?;
        let data = typed(&mut layers, "data", path, || place::data(&sources.env))?;
        let inside = data.value.join("workflows");
        Ok(Self {
            listen: typed(&mut layers, "listen", address, || SocketAddr::from(([127, 0, 0, 1], 7878)))?,
            workflows: typed(&mut layers, "workflows", path, || inside)?,
            memory_bytes: typed(&mut layers, "memory_bytes", |text| bytes::parse(text).map(Some), || None)?,
            log_level: typed(&mut layers, "log_level", level, || "info".to_owned())?,
            debug_listen: typed(&mut layers, "debug_listen", debug_listen, || None)?,
            guards: Guards::load(&mut layers)?,
            server: typed(&mut layers, "server", url, || "http://127.0.0.1:7878".to_owned())?,
            token_file: typed(&mut layers, "token_file", |text| path(text).map(Some), || None)?,
            data,
            limits,
            limit_origins,
        })
    }

    /// Every key, in the manual's order.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let path = |path: &PathBuf| path.display().to_string().into();
        let mut shown = vec![
            Shown::line("data", &self.data, path),
            Shown::line("listen", &self.listen, |address| address.to_string().into()),
            Shown::line("workflows", &self.workflows, path),
            Shown::line("memory_bytes", &self.memory_bytes, |bytes| (*bytes).into()),
            Shown::line("log_level", &self.log_level, |level| level.clone().into()),
            Shown::line("debug_listen", &self.debug_listen, |listen| listen.as_ref().map(ToString::to_string).into()),
        ];
        shown.extend(self.guards.shown());
        shown.push(Shown::line("server", &self.server, |server| server.clone().into()));
        let file = |file: &Option<PathBuf>| file.as_ref().map(|file| file.display().to_string()).into();
        shown.push(Shown::line("token_file", &self.token_file, file));
        shown.extend(self.limits.table().into_iter().map(|limit| {
            let key = format!("limits.{}", limit.name);
            let origin = self.limit_origins.get(&key).cloned().unwrap_or(Origin::Default);
            Shown { key, value: limit.value.into(), origin, worst_case: None }
        }));
        shown
    }
}

/// A key, parsed, or its default.
pub(super) fn typed<T>(
    layers: &mut Layers,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
    default: impl FnOnce() -> T,
) -> Result<Setting<T>, Failure> {
    match layers.remove(key) {
        Some(Setting { value, origin }) => match parse(&value) {
            Ok(value) => Ok(Setting { value, origin }),
            Err(why) => Err(Failure::usage(format!("{origin}: {key}: {why}"))),
        },
        None => Ok(Setting { value: default(), origin: Origin::Default }),
    }
}

fn limits(layers: &Layers) -> Result<(Limits, BTreeMap<String, Origin>), Failure> {
    let mut values = serde_json::Map::new();
    let mut origins = BTreeMap::new();
    for limit in Limits::default().table() {
        let key = format!("limits.{}", limit.name);
        let Some(Setting { value, origin }) = layers.get(&key) else { continue };
        let refuse = |why: String| Failure::usage(format!("{origin}: {key}: {why}"));
        let number = match limit.unit {
            "bytes" => bytes::parse(value).map_err(refuse)?,
            unit => {
                value.replace('_', "").parse().map_err(|_| refuse(format!("`{value}` is not a number of {unit}")))?
            }
        };
        // One at a time, so that a number that is too large for its limit is refused with its own name and place.
        serde_json::from_value::<Limits>(serde_json::json!({ limit.name: number }))
            .map_err(|_| refuse(format!("`{value}` is more than fits")))?;
        values.insert(limit.name.to_owned(), number.into());
        origins.insert(key, origin.clone());
    }
    let limits = serde_json::from_value(values.into()).map_err(|error| Failure::usage(error.to_string()))?;
    Ok((limits, origins))
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("a path is not empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    // The one name that needs no resolver, and the one that people type.
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| format!("`{text}` is not an address and a port, such as 127.0.0.1:7878 or [::1]:7878"))
}

fn debug_listen(text: &str) -> Result<Option<DebugListen>, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map(Some).map_err(|error: DebugListenError| error.to_string())
}

fn level(text: &str) -> Result<String, String> {
    match text.parse::<tracing_subscriber::EnvFilter>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!("`{text}` is not a level: use error, warn, info, debug or trace")),
    }
}

fn url(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is not an address such as http://127.0.0.1:7878")),
    }
}
