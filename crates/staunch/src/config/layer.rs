//! Lays the sources over each other: what each key is set to, and by whom.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use staunch_engine::Limits;

use super::key::{KEYS, LIMIT_ENV, RATE_ENV, limit_env};
use super::origin::{Origin, Setting};
use super::{file, place};
use crate::failure::{Failure, nearest};

/// What a configuration is made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// Flags that were given: key, flag, value.
    pub(crate) flags: Vec<(&'static str, &'static str, String)>,
    /// `--config`.
    pub(crate) file: Option<PathBuf>,
    /// The environment.
    pub(crate) env: BTreeMap<String, OsString>,
}

/// What every key is set to that anybody set.
pub(super) type Layers = BTreeMap<String, Setting<String>>;

impl Sources {
    /// The environment of this process and no flags.
    pub(crate) fn of_process(file: Option<PathBuf>) -> Self {
        let env = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        Self { flags: Vec::new(), file, env }
    }

    /// With a flag, if it was given.
    pub(crate) fn flag(mut self, key: &'static str, flag: &'static str, value: Option<String>) -> Self {
        self.flags.extend(value.map(|value| (key, flag, value)));
        self
    }

    /// Lays them over each other.
    pub(super) fn layers(&self) -> Result<Layers, Failure> {
        let mut layers = Layers::new();
        if let Some(path) = self.configuration_file()? {
            read_into(&mut layers, &path, Origin::File)?;
        }
        if let Some(path) = place::credential(&self.env) {
            read_into(&mut layers, &path, Origin::Credential)?;
        }
        self.env_into(&mut layers)?;
        for (key, flag, value) in &self.flags {
            layers.insert((*key).to_owned(), Setting { value: value.clone(), origin: Origin::Flag(flag) });
        }
        Ok(layers)
    }

    /// The file that was named, which must be there; or else the first of the usual places that has one.
    fn configuration_file(&self) -> Result<Option<PathBuf>, Failure> {
        let named = self.file.clone().or_else(|| self.env.get("STAUNCH_CONFIG").map(PathBuf::from));
        match named {
            Some(path) if !path.is_file() => {
                Err(Failure::usage(format!("the configuration file {} is not there", path.display())))
            }
            Some(path) => Ok(Some(path)),
            None => Ok(place::files(&self.env).into_iter().find(|path| path.is_file())),
        }
    }

    fn env_into(&self, layers: &mut Layers) -> Result<(), Failure> {
        let limits = Limits::default().table();
        for name in self.env.keys().filter(|name| name.starts_with(LIMIT_ENV)) {
            if !limits.iter().any(|limit| limit_env(limit.name) == *name) {
                let given = name[LIMIT_ENV.len()..].to_lowercase();
                let near = nearest(&given, limits.iter().map(|limit| limit.name)).map(limit_env);
                return Err(Failure::usage(format!("${name} sets no limit there is")).did_you_mean(near));
            }
        }
        let rates = || KEYS.iter().map(|key| key.env).filter(|env| env.starts_with(RATE_ENV));
        for name in self.env.keys().filter(|name| name.starts_with(RATE_ENV)) {
            if !rates().any(|rate| rate == name) {
                let near = nearest(name, rates());
                return Err(Failure::usage(format!("${name} sets no rate there is")).did_you_mean(near));
            }
        }
        // Other unknown `STAUNCH_*` are let be: a step of a workflow that calls `staunch` has several of them.
        let keys = KEYS.iter().map(|key| (key.name.to_owned(), key.env.to_owned()));
        let limits = limits.iter().map(|limit| (format!("limits.{}", limit.name), limit_env(limit.name)));
        for (key, name) in keys.chain(limits) {
            let Some(value) = self.env.get(&name).filter(|value| !value.is_empty()) else { continue };
            let Some(value) = value.to_str() else {
                return Err(Failure::usage(format!("${name} is not UTF-8")));
            };
            layers.insert(key, Setting { value: value.to_owned(), origin: Origin::Env(name) });
        }
        Ok(())
    }
}

fn read_into(layers: &mut Layers, path: &Path, origin: fn(PathBuf, usize) -> Origin) -> Result<(), Failure> {
    for entry in file::read(path)? {
        layers.insert(entry.key, Setting { value: entry.value, origin: origin(path.to_owned(), entry.line) });
    }
    Ok(())
}
