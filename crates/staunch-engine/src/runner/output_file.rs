//! What a step hands on: the file that `$STAUNCH_OUTPUT` names.
//!
//! Lines are `key=value`, or a block that ends at a line of the writer's choice, as in GitHub Actions:
//!
//! ```text
//! size=3
//! report<<END
//! any lines
//! END
//! ```

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use staunch_bounded::fault_point;

/// Characters of a key.
const KEY_CHARS_MAX: usize = 100;

/// What is wrong with an output file.
#[derive(Debug, thiserror::Error)]
pub enum OutputFileError {
    /// It is longer than a step may write.
    #[error("the output file is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// It is a directory, a pipe, a link, ...
    #[error("the output file is not a regular file any more")]
    NotAFile,
    /// It cannot be read.
    #[error("the output file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A line is not text.
    #[error("line {line} of the output file is not valid UTF-8")]
    NotUtf8 {
        /// From 1.
        line: usize,
    },
    /// A line is neither `key=value` nor `key<<END`.
    #[error("line {line} of the output file is neither `key=value` nor `key<<END`: {text:?}")]
    NotAPair {
        /// From 1.
        line: usize,
        /// Its first characters.
        text: String,
    },
    /// A key has other characters than letters, digits, `_` and `-`, or begins with a digit or `-`, or is longer than 100.
    #[error("line {line} of the output file: {key:?} cannot be a key (letters, digits, `_`, `-`; at most 100)")]
    BadKey {
        /// From 1.
        line: usize,
        /// Its first characters.
        key: String,
    },
    /// The line that ends a block never came.
    #[error("line {line} of the output file begins a block that no line {end:?} ends")]
    NoEnd {
        /// From 1.
        line: usize,
        /// What was awaited.
        end: String,
    },
}

/// Reads and parses an output file of at most `bytes_max`. No file: no outputs.
///
/// # Errors
/// [`OutputFileError`]
pub fn read_outputs(path: &Path, bytes_max: u64) -> Result<BTreeMap<String, String>, OutputFileError> {
    // The step may have put anything there: a link is not followed, a pipe without a writer not waited for.
    fault_point!("output.open").map_err(io::Error::from)?;
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Err(OutputFileError::NotAFile),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(OutputFileError::NotAFile);
    }
    let mut bytes = Vec::new();
    fault_point!("output.read").map_err(io::Error::from)?;
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(OutputFileError::TooLarge { limit: bytes_max });
    }
    parse_outputs(&bytes)
}

/// Parses the text of an output file. Of a key that comes twice the later value counts. Empty lines mean nothing.
///
/// # Errors
/// [`OutputFileError`]
pub fn parse_outputs(bytes: &[u8]) -> Result<BTreeMap<String, String>, OutputFileError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        OutputFileError::NotUtf8 { line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
    })?;
    let mut outputs = BTreeMap::new();
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).zip(1..);
    while let Some((line, number)) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (key, value) = match (line.split_once('='), line.split_once("<<")) {
            // Whichever comes first: a value may hold `<<`, an end `=`.
            (Some((key, value)), block) if block.is_none_or(|(name, _)| key.len() < name.len()) => {
                (key, value.to_owned())
            }
            (_, Some((key, end))) if !end.is_empty() => (key, block(end, number, &mut lines)?),
            _ => return Err(OutputFileError::NotAPair { line: number, text: shown(line) }),
        };
        if !is_key(key) {
            return Err(OutputFileError::BadKey { line: number, key: shown(key) });
        }
        outputs.insert(key.to_owned(), value);
    }
    Ok(outputs)
}

/// The lines up to `end`, joined; the last line break belongs to the end.
fn block<'a>(
    end: &str,
    line: usize,
    lines: &mut impl Iterator<Item = (&'a str, usize)>,
) -> Result<String, OutputFileError> {
    let mut value = String::new();
    for (at, (text, _)) in lines.enumerate() {
        if text == end {
            return Ok(value);
        }
        if at > 0 {
            value.push('\n');
        }
        value.push_str(text);
    }
    Err(OutputFileError::NoEnd { line, end: shown(end) })
}

fn is_key(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.len() <= KEY_CHARS_MAX
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        parse_outputs(text.as_bytes()).unwrap().into_iter().collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn pairs_and_blocks() {
        assert_eq!(parsed(""), []);
        assert_eq!(parsed("\n\na=1\nb=\na=x=y<<z\n"), [pair("a", "x=y<<z"), pair("b", "")]);
        assert_eq!(parsed("r<<END\none\n\nEND x\nEND\ns=2"), [pair("r", "one\n\nEND x"), pair("s", "2")]);
        assert_eq!(parsed("r<<A=B\nx=1\nA=B\n"), [pair("r", "x=1")]);
        assert_eq!(parsed("r<<END\r\none\r\nEND\r\n"), [pair("r", "one")]);
        assert_eq!(parsed("r<<END\nEND\n"), [pair("r", "")]);
    }

    #[test]
    fn errors_name_the_line() {
        let error = |bytes: &[u8]| parse_outputs(bytes).unwrap_err().to_string();
        assert!(error(b"a=1\nnonsense\n").starts_with("line 2 of the output file is neither"));
        assert!(error(b"a<<\n").contains("neither"));
        assert!(error(b"a=1\n\n1b=2").starts_with("line 3 of the output file: \"1b\" cannot be a key"));
        assert!(error(b"=2").contains("cannot be a key"));
        assert!(error(format!("{}=1", "k".repeat(101)).as_bytes()).contains("cannot be a key"));
        assert!(error(b"x=1\na<<END\nb\n").starts_with("line 2 of the output file begins a block"));
        assert_eq!(error(b"a=1\nb=\xff\n"), "line 2 of the output file is not valid UTF-8");
    }

    #[test]
    fn below_at_and_over_the_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        assert!(read_outputs(&path, 8).unwrap().is_empty(), "no file, no outputs");
        for (text, fits) in [("a=12345", true), ("a=123456", true), ("a=1234567", false)] {
            std::fs::write(&path, text).unwrap();
            let read = read_outputs(&path, 8);
            assert_eq!(matches!(read, Err(OutputFileError::TooLarge { limit: 8 })), !fits, "{text}: {read:?}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        assert!(matches!(read_outputs(&path, 8), Err(OutputFileError::NotAFile)));
        assert!(matches!(read_outputs(directory.path(), 8), Err(OutputFileError::NotAFile)));
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(matches!(read_outputs(&link, 8), Err(OutputFileError::NotAFile)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read(values in prop::collection::btree_map("[a-z_][a-z0-9_-]{0,20}", "[^\r]{0,40}", 0..8)) {
            let text: String =
                values.iter().map(|(key, value)| format!("{key}<<__end__\n{value}\n__end__\n")).collect();
            prop_assume!(values.values().all(|value| value.lines().all(|line| line != "__end__")));
            prop_assert_eq!(parse_outputs(text.as_bytes()).unwrap(), values);
        }

        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parse_outputs(&bytes).map(|outputs| outputs.len() <= bytes.len()).unwrap_or(true));
        }
    }
}
