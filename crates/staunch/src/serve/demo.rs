//! Three workflows to play with, for `staunch serve --demo`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use staunch_bounded::fault_point;

use crate::failure::Failure;

/// The files: name and text.
pub(super) const FILES: [(&str, &str); 3] = [
    ("hello.yaml", include_str!("demo/hello.yaml")),
    ("fan-out.yaml", include_str!("demo/fan-out.yaml")),
    ("deploy.yaml", include_str!("demo/deploy.yaml")),
];

/// Writes those of the files that are not there yet: what somebody changed stays as it is.
pub(super) fn write(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| Failure::file("make", directory, &error))?;
    for (name, text) in FILES {
        let path = directory.join(name);
        let opened = fault_point!("serve.demo").map_err(std::io::Error::from);
        let opened = opened.and_then(|()| OpenOptions::new().write(true).create_new(true).open(&path));
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        match written {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Failure::file("write", &path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_workflows_without_a_warning() {
        for (name, text) in FILES {
            let stem = name.trim_end_matches(".yaml");
            let parsed = staunch_flow::parse(text.as_bytes(), stem, &staunch_flow::Budgets::default());
            let said: Vec<String> = parsed.diagnostics.iter().map(|said| said.render(name, text, false)).collect();
            assert!(said.is_empty(), "{}", said.join("\n"));
            assert_eq!(parsed.workflow.expect("a workflow").name, stem);
        }
    }

    #[test]
    fn what_somebody_changed_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("hello.yaml"), "mine").expect("written");
        write(directory.path()).expect("written");
        write(directory.path()).expect("written again");
        let read = |name| std::fs::read_to_string(directory.path().join(name)).expect("there");
        assert_eq!(read("hello.yaml"), "mine");
        assert_eq!(read("deploy.yaml"), FILES[2].1);
    }
}
