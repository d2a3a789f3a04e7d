//! `staunch soak`: its arguments and flags, and the leaks it can be given.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Json, Server};

/// Cycles and runs beyond these are a slip of the keyboard.
const CYCLES_MAX: i64 = 100_000;
const RUNS_MAX: i64 = 1_000_000;
/// Requests of one cycle.
const REQUESTS_MAX: i64 = 100_000_000;

/// `staunch soak`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Soak {
    /// Cycles of load, drain, sweep and compare
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=CYCLES_MAX))]
    pub(crate) cycles: u32,
    /// As many cycles as fit into this time instead, such as `180s`
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "cycles", value_parser = crate::render::parse_duration)]
    pub(crate) span: Option<Duration>,
    /// Runs of each cycle
    #[arg(long, value_name = "M", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=RUNS_MAX))]
    pub(crate) runs: u32,
    /// GET requests of each cycle, over connections that are kept
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(0..=REQUESTS_MAX))]
    pub(crate) requests: u32,
    /// What happens in a cycle, in turn: small, ok, fail, kill, timeout, cancel, disconnect, big, rerun, bad, login, token, restart; `ok:5`
    /// comes five times as often [default: all that the server can be asked]
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub(crate) mix: Vec<Share>,
    /// Live bytes that a run may cost at most, at 99 %
    #[arg(long, value_name = "BYTES", default_value_t = 1.0, value_parser = bound)]
    pub(crate) bound: f64,
    /// How long the server may take to come to rest after each load
    #[arg(long, hide = true, value_name = "DURATION", value_parser = crate::render::parse_duration)]
    pub(crate) settle: Option<Duration>,
    /// Have the server leak, to see that it is caught: memory=16B/run, or fd, task, child, file, row as fd=1/1000; may be given several
    /// times
    #[arg(long, value_name = "KIND=RATE", conflicts_with = "server")]
    pub(crate) inject_leak: Vec<Leak>,
    /// Write a report in Markdown, and its chart beside it as SVG
    #[arg(long, value_name = "FILE.md")]
    pub(crate) report: Option<PathBuf>,
    /// Only write the workflows that the load runs into this directory, for a server that is to be asked with --server
    #[arg(long, value_name = "DIR")]
    pub(crate) write_workflows: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Something that happens in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Mix {
    /// A run of one step that succeeds
    Small,
    /// A run of several steps with output that succeeds
    Ok,
    /// A run with a step that fails, one that is skipped and one that cleans up
    Fail,
    /// A run whose step is killed, and leaves a child behind
    Kill,
    /// A run whose timeout runs out
    Timeout,
    /// A run that is cancelled
    Cancel,
    /// A run whose live events are cut off midway
    Disconnect,
    /// A run that says more than its log may hold
    Big,
    /// A run that is run again
    Rerun,
    /// Requests that are refused
    Bad,
    /// A login and a logout
    Login,
    /// A token that is made, used and revoked
    Token,
    /// The server is stopped and started again on the same directory, once
    Restart,
}

/// A kind, and how often it comes in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// What.
    pub(crate) kind: Mix,
    /// How often; never 0.
    pub(crate) times: u32,
}

/// A kind comes at most so often in a round.
const TIMES_MAX: u32 = 1_000;

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, times) = text.split_once(':').unwrap_or((text, "1"));
        let kind = Mix::from_str(word, false).map_err(|_| format!("`{word}` is nothing that can be mixed in"))?;
        match times.parse() {
            Ok(times @ 1..=TIMES_MAX) => Ok(Self { kind, times }),
            _ => Err(format!("`{times}` is not how often `{word}` may come: 1 to {TIMES_MAX}")),
        }
    }
}

/// What can be made to leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeakKind {
    /// Bytes that nobody holds any more.
    Memory,
    /// An open file.
    Fd,
    /// A task that does not end.
    Task,
    /// A child process.
    Child,
    /// A file in the work directory.
    File,
    /// A row of the database.
    Row,
}

/// A leak: so much of a kind every so many runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leak {
    /// What.
    pub(crate) kind: LeakKind,
    /// How much: bytes of memory, else pieces.
    pub(crate) amount: u64,
    /// Every so many runs; never 0.
    pub(crate) runs: u64,
}

/// More of anything a run is no slow leak.
const AMOUNT_MAX: u64 = 1 << 20;

impl Leak {
    /// How much is gone after so many runs.
    pub(crate) fn after(self, runs: u64) -> u64 {
        // Both factors are far below 2^32 in any life of a server that is soaked.
        runs.saturating_mul(self.amount) / self.runs
    }
}

impl LeakKind {
    const ALL: [Self; 6] = [Self::Memory, Self::Fd, Self::Task, Self::Child, Self::File, Self::Row];

    const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fd => "fd",
            Self::Task => "task",
            Self::Child => "child",
            Self::File => "file",
            Self::Row => "row",
        }
    }
}

impl FromStr for Leak {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no leak such as memory=16B/run or fd=1/1000; there are {}",
                LeakKind::ALL.map(LeakKind::word).join(", ")
            )
        };
        let (word, rate) = text.split_once('=').ok_or_else(wrong)?;
        let kind = LeakKind::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(wrong)?;
        let (amount, runs) = rate.split_once('/').ok_or_else(wrong)?;
        let amount = match kind {
            LeakKind::Memory => amount.strip_suffix('B').ok_or_else(wrong)?,
            _ => amount,
        };
        let number = |digits: &str| digits.parse::<u64>().ok().filter(|number| (1..=AMOUNT_MAX).contains(number));
        let amount = number(amount).ok_or_else(wrong)?;
        let runs = if runs == "run" { 1 } else { number(runs).ok_or_else(wrong)? };
        Ok(Self { kind, amount, runs })
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.kind == LeakKind::Memory { "B" } else { "" };
        write!(f, "{}={}{unit}/{}", self.kind.word(), self.amount, self.runs)
    }
}

fn bound(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is not a number of bytes above 0");
    text.parse::<f64>().ok().filter(|bound| bound.is_finite() && *bound > 0.0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_read_back_as_it_is_written() {
        for (text, written) in [
            ("memory=16B/run", "memory=16B/1"),
            ("memory=4096B/10", "memory=4096B/10"),
            ("fd=1/1000", "fd=1/1000"),
            ("task=2/run", "task=2/1"),
            ("child=1/3", "child=1/3"),
            ("file=1/3", "file=1/3"),
            ("row=1/3", "row=1/3"),
        ] {
            let leak: Leak = text.parse().expect(text);
            assert_eq!(leak.to_string(), written);
            assert_eq!(written.parse(), Ok(leak));
        }
        for wrong in [
            "",
            "fd",
            "fd=1",
            "fd=0/1",
            "fd=1/0",
            "fd=1B/run",
            "memory=16/run",
            "socket=1/10",
            "fd=x/10",
            "fd=-1/10",
            "fd=9999999/1",
        ] {
            assert!(wrong.parse::<Leak>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_leak_is_due_by_its_rate() {
        let leak: Leak = "fd=2/5".parse().expect("a leak");
        assert_eq!([0, 2, 3, 5, 10].map(|runs| leak.after(runs)), [0, 0, 1, 2, 4]);
    }

    #[test]
    fn a_share_is_a_kind_and_how_often() {
        assert_eq!("ok".parse(), Ok(Share { kind: Mix::Ok, times: 1 }));
        assert_eq!("timeout:1000".parse(), Ok(Share { kind: Mix::Timeout, times: 1_000 }));
        for wrong in ["", "okay", "ok:0", "ok:1001", "ok:x", ":3"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bound_is_a_number_above_nothing() {
        assert_eq!(bound("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "NaN", "inf", "x", ""] {
            assert!(bound(wrong).is_err(), "{wrong}");
        }
    }
}
