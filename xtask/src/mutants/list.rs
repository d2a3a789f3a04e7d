//! The list of guards: `xtask/leak-mutants.toml`.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::process;

/// A guard, and the source without it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mutant {
    /// A name for the report.
    pub(super) name: String,
    /// What the guard sees to.
    pub(super) guard: String,
    /// Where it stands, from the root of the checkout.
    pub(super) file: String,
    /// The text of the guard: exactly once in the file.
    pub(super) from: String,
    /// What stands there without it.
    #[serde(default)]
    pub(super) to: String,
    /// The package whose tests must turn red.
    pub(super) package: String,
    /// Which tests, as nextest's filtersets have it.
    pub(super) tests: String,
    /// Why no gate can see that it is gone, if none can.
    pub(super) survives: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mutant: Vec<Mutant>,
}

/// Reads the list and looks each guard up.
///
/// # Errors
/// It is not as it should be, or a guard is not where the list says: then the list is out of date, and would prove nothing.
pub(super) fn read() -> Result<Vec<Mutant>> {
    let path = process::root().join("xtask/leak-mutants.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let File { mutant: mutants } = toml::from_str(&text).context("leak-mutants.toml")?;
    let mut names = HashSet::new();
    for mutant in &mutants {
        ensure!(names.insert(&mutant.name), "{}: there are two", mutant.name);
        ensure!(mutant.from != mutant.to, "{}: nothing is taken out", mutant.name);
        let source = std::fs::read_to_string(process::root().join(&mutant.file));
        let source = source.with_context(|| format!("{}: cannot read {}", mutant.name, mutant.file))?;
        let times = source.matches(&mutant.from).count();
        ensure!(times == 1, "{}: its guard is {times} times in {}", mutant.name, mutant.file);
    }
    Ok(mutants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_of_the_list_is_where_it_says() {
        let mutants = read().expect("the list is up to date");
        assert!(!mutants.is_empty());
    }
}
