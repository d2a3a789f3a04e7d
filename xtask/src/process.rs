//! Other programs, run to their end.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The cargo that started us, at the root of the checkout, with our own tools on its `PATH`.
pub(crate) fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root()).env("PATH", path()?);
    Ok(command)
}

/// `target/`, wherever it was put.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |set| root().join(set))
}

/// Where [`crate::tools`] puts what it installs: nothing outside the checkout changes.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

fn path() -> Result<std::ffi::OsString> {
    let given = std::env::var_os("PATH").unwrap_or_default();
    let ours = tools().join("bin");
    // Ours last: a tool that the machine has wins.
    std::env::join_paths(std::env::split_paths(&given).chain([ours])).context("PATH cannot be extended")
}

/// Runs it; anything but exit code 0 is an error that names the command.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let shown = show(&command);
    eprintln!("xtask: {shown}");
    let status = command.status().with_context(|| format!("cannot start {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Runs it and returns what it wrote to standard output.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let shown = show(&command);
    let output = command.output().with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        bail!("{shown}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown} did not write text"))
}

/// Whether a program is on the `PATH` (or among our own tools).
pub(crate) fn exists(program: &str) -> bool {
    // Debian keeps servers such as nginx where only root's `PATH` leads; the tests look there too.
    let more = PathBuf::from("/usr/sbin");
    path()
        .is_ok_and(|path| std::env::split_paths(&path).chain([more]).any(|directory| directory.join(program).is_file()))
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
