//! Project tasks: `cargo xtask serve | test | tidy | ci | ground | lsan | leak-mutants | soak | bench`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks on its streams")]

mod bench;
mod ci;
mod ground;
mod lsan;
mod mutants;
mod process;
mod serve;
mod soak;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  serve [FLAG...]    build the server and run it, installing what the build needs; --demo brings workflows along
  test [--long]      run all tests, installing what they need; --long adds fuzzing and the long variants
  tidy               check walls, lengths, words and habits that no compiler checks
  ci                 format, lints, tidy, tests, documentation, lsan, soak: what must pass before a merge
  ground             list and run the tests of the ground rows
  lsan [WORD...]     all tests under LeakSanitizer, or those with such words in their names; first a canary must be caught
  leak-mutants [NAME] take out one guard against leaks after the other, in a copy of the tree: a gate must turn red
  soak [--long]      each kind of leak must be caught, then three minutes of everything must be clean; --long: a million runs and ten
                     million requests, with a report. --binary FILE: soak this one instead of building
  bench NAME         measure by whole processes; the last line is one JSON object
                     runs | dag | latency | idle | accounting | rate | csrf | guard
                     --quick: a smaller round · --history N: runs of history for idle
                     --binary FILE: measure this one instead of building; not with accounting
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve", flags @ ..] => serve::run(flags),
        ["test"] => test::run(false),
        ["test", "--long"] => test::run(true),
        ["tidy"] => tidy::run(),
        ["ci"] => ci::run(),
        ["ground"] => ground::run(),
        ["lsan", words @ ..] => lsan::run(words),
        ["leak-mutants"] => mutants::run(""),
        ["leak-mutants", name] => mutants::run(name),
        ["soak", rest @ ..] => soak::run(rest),
        ["bench", rest @ ..] if !rest.is_empty() => bench::run(rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
