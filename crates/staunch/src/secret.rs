//! Secrets from files: a token or a password, with a word if others can read it too.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use staunch_server::wire::Secret;

use crate::failure::Failure;
use crate::render::Terminal;

/// A file with a secret is not larger than this, in bytes: a password has at most 256, a token 40.
const FILE_BYTES_MAX: u64 = 4 << 10;

/// The first line of a file; `-` is standard input.
pub(crate) fn from_file(path: &Path, terminal: &mut Terminal) -> Result<Secret, Failure> {
    if path == Path::new("-") {
        return read(path, io::stdin());
    }
    let file = std::fs::File::open(path).map_err(|error| Failure::file("open", path, &error))?;
    // systemd gives a credential to its user by an access list, which shows as a group's right; nobody else can reach its directory.
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|directory| path.starts_with(directory));
    // Of the open file, so that what is looked at is what is read.
    if let (false, Some(mode)) = (credential, file.metadata().ok().as_ref().and_then(loose)) {
        let path = path.display();
        terminal.say(format_args!(
            "warning: others can read {path} (mode {mode:04o}): make it yours alone with `chmod 600 {path}`"
        ));
    }
    read(path, file)
}

fn read(path: &Path, source: impl Read) -> Result<Secret, Failure> {
    let mut bytes = Vec::new();
    source.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| Failure::file("read", path, &error))?;
    let refuse = |why: &str| Err(Failure::usage(format!("{}: {why}", path.display())));
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return refuse(&format!("larger than {FILE_BYTES_MAX} bytes: that is no password and no token"));
    }
    let Ok(text) = String::from_utf8(bytes) else { return refuse("not UTF-8") };
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Secret::new(line)),
        None => refuse("its first line is empty"),
    }
}

/// The permission bits of a file that others than its owner can read. A pipe or a device is nobody else's to open.
fn loose(metadata: &Metadata) -> Option<u32> {
    let mode = metadata.permissions().mode() & 0o777;
    (metadata.is_file() && mode & 0o044 != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_without_its_end_and_nothing_shows_it() {
        for text in ["pass word", "pass word\n", "pass word\r\n", "pass word\nmore\n"] {
            let secret = read(Path::new("f"), text.as_bytes()).expect("a secret");
            assert_eq!(secret.expose(), "pass word");
            assert_eq!(format!("{secret:?}"), "Secret(..)");
        }
        assert_eq!(read(Path::new("f"), &b" spaces stay "[..]).expect("a secret").expose(), " spaces stay ");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let message = |bytes: &[u8]| read(Path::new("f"), bytes).expect_err("refused").message;
        assert!(message(b"").contains("empty"));
        assert!(message(b"\nsecond").contains("empty"));
        assert!(message(b"\xff").contains("UTF-8"));
        assert!(read(Path::new("f"), &[b'x'; 4096][..]).is_ok());
        assert!(message(&[b'x'; 4097]).contains("larger than 4096 bytes"));
    }

    #[test]
    fn only_a_file_that_others_can_read_is_loose() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        std::fs::write(&path, "x").expect("written");
        for (mode, expected) in [(0o600, None), (0o400, None), (0o640, Some(0o640)), (0o604, Some(0o604))] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
            assert_eq!(loose(&std::fs::metadata(&path).expect("there")), expected);
        }
        assert_eq!(loose(&directory.path().metadata().expect("there")), None);
    }
}
