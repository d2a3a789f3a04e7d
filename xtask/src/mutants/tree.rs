//! A copy of the tree, in which guards are taken out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::list::Mutant;
use crate::process;

/// The copy. What was built of it before is built no second time.
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// As the checkout is now, what is not committed included; ignored files are not.
    pub(super) fn copied() -> Result<Self> {
        let tree = Self { root: process::target().join("leak-mutants/tree") };
        fs::create_dir_all(&tree.root).context("cannot make the copy's directory")?;
        let listed = tree.listed()?;
        tree.forget(&tree.root, &listed)?;
        for file in &listed {
            let (from, to) = (process::root().join(file), tree.root.join(file));
            // Deleted, and not yet committed.
            let Ok(text) = fs::read(&from) else { continue };
            tree.write(file, &text)?;
            fs::set_permissions(to, fs::metadata(from)?.permissions())?;
        }
        Ok(tree)
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What is built of it.
    pub(super) fn target(&self) -> PathBuf {
        process::target().join("leak-mutants/target")
    }

    /// Runs `test` while the guard is out of its place.
    pub(super) fn with<T>(&self, mutant: &Mutant, test: impl FnOnce() -> Result<T>) -> Result<T> {
        let whole = fs::read_to_string(self.root.join(&mutant.file))?;
        let without = whole.replacen(&mutant.from, &mutant.to, 1);
        self.write(Path::new(&mutant.file), without.as_bytes())?;
        let tested = test();
        self.write(Path::new(&mutant.file), whole.as_bytes())?;
        tested
    }

    fn listed(&self) -> Result<Vec<PathBuf>> {
        let mut git = std::process::Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(process::root());
        let listed = process::output(git)?;
        Ok(listed.split('\0').filter(|file| !file.is_empty()).map(PathBuf::from).collect())
    }

    /// Removes what the checkout no longer has.
    fn forget(&self, directory: &Path, listed: &[PathBuf]) -> Result<()> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let below = path.strip_prefix(&self.root)?;
            if path.is_dir() {
                self.forget(&path, listed)?;
            } else if !listed.iter().any(|file| file == below) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// A file that is the same stays as old as it is: what was built of it is still good.
    fn write(&self, file: &Path, text: &[u8]) -> Result<()> {
        let to = self.root.join(file);
        if fs::read(&to).is_ok_and(|there| there == text) {
            return Ok(());
        }
        if let Some(directory) = to.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&to, text).with_context(|| format!("cannot write {}", to.display()))
    }
}
