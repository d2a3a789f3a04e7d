//! Reads the checkout and says what is not in order.

use std::fmt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::source::Source;
use super::{exceptions, faults, habits, lengths, links, walls, words};
use crate::process;

/// One thing that is not in order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Complaint {
    /// The file, relative to the root.
    pub(super) path: String,
    /// The line, from 1; 0 means the file as a whole.
    pub(super) line: usize,
    /// Which rule: a word that [`exceptions`] can name.
    pub(super) rule: &'static str,
    /// What is wrong, and what to do instead.
    pub(super) message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {} [{}]", self.path, self.message, self.rule),
            line => write!(f, "{}:{line}: {} [{}]", self.path, self.message, self.rule),
        }
    }
}

/// Checks every file that git knows or would add, and the walls between the crates.
///
/// # Errors
/// Something is not in order, or cannot be read.
pub(crate) fn run() -> Result<()> {
    let mut complaints = sources(&files()?, &checkout());
    let metadata = process::output(process::cargo(&["metadata", "--no-deps", "--format-version", "1"])?)?;
    let metadata = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    complaints.extend(walls::check(&metadata));
    complaints.extend(faults::check(&metadata));
    complaints.sort();

    let (excused, complaints): (Vec<_>, Vec<_>) = complaints.into_iter().partition(exceptions::excuses);
    for stale in exceptions::stale(&excused) {
        println!("tidy: the exception for {} [{}] is no longer needed: remove it", stale.path, stale.rule);
    }
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => {
            println!("tidy: in order, with {} excused", excused.len());
            Ok(())
        }
        count => bail!("{count} things are not in order"),
    }
}

/// What all rules but the walls have to say.
pub(super) fn sources(files: &[(String, String)], checkout: &str) -> Vec<Complaint> {
    let mut complaints = links::check(files);
    for (path, text) in files {
        complaints.extend(words::check_text(path, text, checkout));
        if path.ends_with(".rs") {
            let source = Source::new(path, text);
            complaints.extend(words::check(&source));
            complaints.extend(lengths::check(&source));
            complaints.extend(habits::check(&source));
        }
    }
    complaints
}

fn files() -> Result<Vec<(String, String)>> {
    let root = process::root();
    let mut list = Command::new("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).current_dir(&root);
    let mut files = Vec::new();
    for path in process::output(list)?.split_terminator('\0') {
        // Gone from the work tree but not yet from the index, or not text: nothing to read.
        let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        files.push((path.to_owned(), text));
    }
    Ok(files)
}

/// The first part of the path this checkout stands in, `/such/`: no committed file should say it.
fn checkout() -> String {
    let root = process::root();
    let first = root.iter().nth(1).map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    format!("/{first}/")
}
