//! `cargo xtask ground`: the tests of the ground rows, by row, and then run.

use anyhow::{Result, ensure};

use crate::{process, tools};

/// What must always work: the number of each row, and what it says.
const ROWS: &[(u32, &str)] = &[
    (1, "at most five CSRF tokens of a session live, the oldest goes first"),
    (2, "CSRF tokens expire at read after 24 hours; a sweep is O(expired), owned and joined"),
    (3, "rate limits forget their keys, hold fixed memory, and allocate nothing a request"),
    (4, "what is shared is built before it serves: no global, no check-then-set"),
    (5, "the executor frees everything on every path of error, cancel and crash"),
    (6, "tests fail on a leak"),
    (7, "leaks of a running server can be found"),
    (8, "memory does not grow under sustained load"),
    (9, "memory is told, store by store"),
];

/// Picks the tests of all ground rows.
const FILTER: &str = "test(/(^|::)ground_g[1-9]_/)";

/// Lists them by row and runs them.
///
/// # Errors
/// A row has no test, or one fails.
pub(crate) fn run() -> Result<()> {
    tools::ensure(tools::TEST_TOOLS)?;
    tools::ensure_nextest()?;
    let listed = process::output(process::cargo(&["nextest", "list", "--workspace", "-T", "oneline", "-E", FILTER])?)?;
    for (row, what) in ROWS {
        let tests = of_row(&listed, *row);
        println!("G{row}  {what}: {}", tests.len());
        tests.iter().for_each(|test| println!("      {test}"));
        ensure!(!tests.is_empty(), "G{row} has no test");
    }
    process::run(process::cargo(&["nextest", "run", "--workspace", "-E", FILTER])?)
}

fn of_row(listed: &str, row: u32) -> Vec<&str> {
    let mark = format!("ground_g{row}_");
    listed.lines().map(str::trim).filter(|line| line.contains(&mark)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_by_their_row() {
        let listed = "a::it ground_g1_x\n  a::it m::ground_g2_y\nb ground_g1_z\nb other\n";
        assert_eq!(of_row(listed, 1), ["a::it ground_g1_x", "b ground_g1_z"]);
        assert_eq!(of_row(listed, 2), ["a::it m::ground_g2_y"]);
        assert_eq!(of_row(listed, 3), [""; 0]);
    }
}
