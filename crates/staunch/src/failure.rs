//! Why a command could not do what it was asked.

use std::fmt::Display;
use std::io;
use std::path::Path;

use crate::exit::Exit;

/// A command that failed: the exit code, one sentence, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// What the shell sees.
    pub(crate) exit: Exit,
    /// What went wrong, lower case; may be several lines.
    pub(crate) message: String,
    /// What the user can do next.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure with its exit code.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, message)
    }

    /// The command itself failed.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A file could not be read, written or made.
    pub(crate) fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Self::new(exit, format!("cannot {what} {}: {error}", path.display()))
    }

    /// With something the user can do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With "did you mean", if there is something near.
    pub(crate) fn did_you_mean(self, nearest: Option<impl Display>) -> Self {
        match nearest {
            Some(nearest) => self.hint(format!("did you mean `{nearest}`?")),
            None => self,
        }
    }
}

/// The name nearest to `given`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong: enough for a typo, too little to join unrelated words.
    let far = given.chars().count().div_ceil(3).max(1);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_finds_its_name_and_a_stranger_none() {
        let names = ["listen", "limits", "data", "workflows"];
        assert_eq!(nearest("lisen", names), Some("listen"));
        assert_eq!(nearest("dtaa", names), Some("data"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
    }
}
