//! Reads a configuration file: every key with its line, unknown keys refused.

use std::io::Read;
use std::path::Path;

use staunch_engine::Limits;
use toml::de::{DeTable, DeValue};

use super::key::{KEYS, RATE, is_list};
use crate::failure::{Failure, nearest};

/// A configuration file is not larger than this, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// What a file says about one key.
pub(super) struct Entry {
    /// The key, such as `listen` or `limits.streams_max`.
    pub(super) key: String,
    /// The value as text.
    pub(super) value: String,
    /// Its line, from 1.
    pub(super) line: usize,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let file = std::fs::File::open(path).map_err(|error| Failure::file("open", path, &error))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| Failure::file("read", path, &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::usage(format!("{}: larger than {FILE_BYTES_MAX} bytes", path.display())));
    }
    parse(path, &text)
}

/// Reads a text; `path` is for its messages.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, Failure> {
    let reader = Reader { path, text };
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| reader.line(span.start));
        Failure::usage(format!("{}:{line}: {}", path.display(), error.message()))
    })?;
    let mut entries = Vec::new();
    for (name, value) in table.get_ref() {
        let line = reader.line(name.span().start);
        match name.get_ref().as_ref() {
            "limits" => {
                let names: Vec<&str> = Limits::default().table().iter().map(|limit| limit.name).collect();
                reader.table("limits", &names, value.get_ref(), line, &mut entries)?;
            }
            "rate" => {
                let names: Vec<&str> = KEYS.iter().filter_map(|key| key.name.strip_prefix(RATE)).collect();
                reader.table("rate", &names, value.get_ref(), line, &mut entries)?;
            }
            name => {
                let plain = KEYS.iter().map(|key| key.name).filter(|name| !name.starts_with(RATE));
                reader.check(line, name, plain.chain(["limits", "rate"]))?;
                entries.push(reader.entry(line, name, name, value.get_ref())?);
            }
        }
    }
    Ok(entries)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
    }

    /// A table of its own, such as `[limits]`, which has these names.
    fn table(
        &self,
        table: &str,
        names: &[&str],
        value: &DeValue<'_>,
        line: usize,
        entries: &mut Vec<Entry>,
    ) -> Result<(), Failure> {
        let Some(lines) = value.as_table() else {
            let why = format!("`{table}` is a table: write `[{table}]` and a line a value below it");
            return Err(self.refuse(line, &why));
        };
        for (name, value) in lines {
            let line = self.line(name.span().start);
            self.check(line, name.get_ref(), names.iter().copied())?;
            let key = format!("{table}.{}", name.get_ref());
            entries.push(self.entry(line, &key, name.get_ref(), value.get_ref())?);
        }
        Ok(())
    }

    fn check<'n>(&self, line: usize, name: &str, known: impl Iterator<Item = &'n str> + Clone) -> Result<(), Failure> {
        if known.clone().any(|known| known == name) {
            return Ok(());
        }
        Err(self.refuse(line, &format!("unknown key `{name}`")).did_you_mean(nearest(name, known)))
    }

    fn entry(&self, line: usize, key: &str, name: &str, value: &DeValue<'_>) -> Result<Entry, Failure> {
        let value = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| self.refuse(line, &format!("`{name}` is more than fits")))?
                .to_string(),
            DeValue::Array(array) if is_list(key) => {
                let words = array.iter().map(|word| word.get_ref().as_str());
                let words: Option<Vec<&str>> = words.collect();
                words.ok_or_else(|| self.refuse(line, &format!("`{name}` is a list of strings")))?.join(",")
            }
            other => {
                let message = format!("`{name}` is a string or a whole number, not a {}", other.type_str());
                return Err(self.refuse(line, &message));
            }
        };
        Ok(Entry { key: key.to_owned(), value, line })
    }

    fn refuse(&self, line: usize, message: &str) -> Failure {
        Failure::usage(format!("{}:{line}: {message}", self.path.display()))
    }
}
