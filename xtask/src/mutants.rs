//! `cargo xtask leak-mutants`: takes out one guard after the other, and sees whether a gate turns red.
//!
//! A gate that no leak can turn red proves nothing. So the guards that keep things from leaking (a `Drop`, a `take`, a join, a
//! sweep, an eviction, an unlink, a kill) stand in a list, each with what the source is without it and the tests that must then
//! fail. All this happens to a copy of the tree, below `target/`.

mod list;
mod tree;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use self::list::Mutant;
use self::tree::Tree;
use crate::{process, tools};

/// What nextest ends by when a test failed.
const TEST_FAILED: i32 = 100;

/// What became of a tree without a guard.
enum Fate {
    /// These tests failed, and so many seconds it took.
    Caught(Vec<String>),
    /// All tests passed.
    Survived,
    /// It did not compile, or the tests could not run: this proves nothing.
    Broken(String),
}

/// Tries all of them, or those whose name has `only` in it, and prints the score.
///
/// # Errors
/// A tree is red with all its guards, a mutant is broken, or one survives that the list does not explain.
pub(crate) fn run(only: &str) -> Result<()> {
    tools::ensure(tools::TEST_TOOLS)?;
    tools::ensure_nextest()?;
    let mutants = list::read()?;
    let chosen: Vec<&Mutant> = mutants.iter().filter(|mutant| mutant.name.contains(only)).collect();
    ensure!(!chosen.is_empty(), "no mutant has {only:?} in its name");
    let tree = Tree::copied()?;
    whole(&tree, &chosen)?;
    let (mut caught, mut explained, mut wrong) = (0, 0, Vec::new());
    for mutant in &chosen {
        let begun = Instant::now();
        let fate = tree.with(mutant, || tested(&tree, mutant))?;
        let seconds = begun.elapsed().as_secs();
        match fate {
            Fate::Caught(by) => {
                caught += 1;
                println!("caught    {} ({seconds} s): {}", mutant.name, by.join(", "));
            }
            Fate::Survived if mutant.survives.is_some() => {
                explained += 1;
                println!("survives  {}: {}", mutant.name, mutant.survives.as_deref().unwrap_or_default());
            }
            Fate::Survived => {
                println!("SURVIVED  {} ({seconds} s): {}", mutant.name, mutant.guard);
                wrong.push(mutant.name.as_str());
            }
            Fate::Broken(why) => {
                println!("BROKEN    {}: {why}", mutant.name);
                wrong.push(mutant.name.as_str());
            }
        }
    }
    println!("leak-mutants: {caught} of {} caught, {explained} explained", chosen.len());
    if !wrong.is_empty() {
        bail!("not caught: {}", wrong.join(", "));
    }
    Ok(())
}

/// With all guards in their places the same tests are green, and there are some.
fn whole(tree: &Tree, mutants: &[&Mutant]) -> Result<()> {
    let mut filters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for mutant in mutants {
        filters.entry(&mutant.package).or_default().push(&mutant.tests);
    }
    for (package, mut tests) in filters {
        tests.sort_unstable();
        tests.dedup();
        let filter = tests.join(" + ");
        process::run(nextest(tree, package, &filter)?).context("red with all guards in their places")?;
    }
    Ok(())
}

fn tested(tree: &Tree, mutant: &Mutant) -> Result<Fate> {
    let mut command = nextest(tree, &mutant.package, &mutant.tests)?;
    command.args(["--no-fail-fast", "--failure-output", "never", "--status-level", "fail", "--color", "never"]);
    let output = command.output().context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(match output.status.code() {
        Some(0) => Fate::Survived,
        Some(TEST_FAILED) => Fate::Caught(failed(&said)),
        _ => {
            let why = said.lines().find(|line| line.starts_with("error")).unwrap_or("it could not be run");
            Fate::Broken(why.to_owned())
        }
    })
}

fn nextest(tree: &Tree, package: &str, filter: &str) -> Result<Command> {
    let mut command = process::cargo(&["nextest", "run", "--package", package, "-E", filter])?;
    command.current_dir(tree.root()).env("CARGO_TARGET_DIR", tree.target());
    Ok(command)
}

/// The names of the tests that nextest says failed, each once.
fn failed(said: &str) -> Vec<String> {
    const MARKS: [&str; 5] = ["FAIL [", "LEAK-FAIL [", "TIMEOUT [", "SIGABRT [", "SIGSEGV ["];
    let mut names = Vec::new();
    for line in said.lines().map(str::trim) {
        if MARKS.iter().any(|mark| line.starts_with(mark))
            && let Some(name) = line.split_whitespace().last()
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_failed_tests_are_read_once() {
        let said = "  PASS [ 0.1s] (1/3) a::it x\n  FAIL [   0.011s] (2/3) staunch-bounded::it growth::y\n\
                    LEAK-FAIL [ 1.0s] (3/3) staunch-bounded::it z\n  FAIL [   0.011s] (2/3) staunch-bounded::it growth::y\n";
        assert_eq!(failed(said), ["growth::y", "z"]);
    }
}
