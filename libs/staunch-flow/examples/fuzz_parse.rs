//! A fuzzer of the parser that needs nothing but stable Rust: mutated seeds go in, every answer is checked.
//!
//! `cargo run --release -p staunch-flow --example fuzz_parse -- --seconds 60`
//!
//! Options: `--seconds N` (10), `--corpus DIR` (the crate's), `--seed N` (1), `--out DIR` (the temporary directory).
//! A file that breaks a promise (a panic, an answer that is not sound or comes too late) is saved and named, and the
//! exit code is 1. To look at it again: `--file PATH`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

#[path = "../tests/it/answer.rs"]
mod answer;
#[path = "../tests/it/mutate.rs"]
mod mutate;

use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::answer::{answer, codes};
use crate::mutate::{Rng, mutated};

/// How long a file may keep the parser before it counts as stuck. The answer itself is held to a shorter time.
const STUCK: Duration = Duration::from_secs(60);

/// The most memory the process may have needed. The worst known file needs a tenth of it.
const PEAK_KIB_MAX: u64 = 300 * 1024;

struct Options {
    seconds: u64,
    corpus: PathBuf,
    seed: u64,
    out: PathBuf,
    file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let seeds = match &options.file {
        Some(file) => fs::read(file).map(|bytes| vec![bytes]),
        None => corpus(&options.corpus),
    };
    match seeds {
        Ok(seeds) => supervise(options, seeds),
        Err(error) => {
            eprintln!("cannot read {}: {error}", options.file.as_ref().unwrap_or(&options.corpus).display());
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, String> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut options = Options { seconds: 10, corpus, seed: 1, out: std::env::temp_dir(), file: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"));
        match word.as_str() {
            "--seconds" => options.seconds = number()?,
            "--seed" => options.seed = number()?,
            "--corpus" => options.corpus = value.into(),
            "--out" => options.out = value.into(),
            "--file" => options.file = Some(value.into()),
            _ => return Err(format!("unknown option {word}; there are --seconds --seed --corpus --out --file")),
        }
    }
    Ok(options)
}

/// The seeds, in the order of their names, so that a seed number means the same everywhere.
fn corpus(directory: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    paths.into_iter().filter(|path| path.is_file()).map(fs::read).collect()
}

/// What the fuzzing thread reports.
enum Report {
    /// It is about to parse this.
    Trying(Vec<u8>),
    /// This broke a promise.
    Broken(Vec<u8>),
    /// Time is up: files parsed, and how often each code was the answer.
    Over(u64, BTreeMap<&'static str, u64>),
}

/// Watches the fuzzing thread from outside: a parser that hangs cannot be asked to stop, but it can be named.
fn supervise(options: Options, seeds: Vec<Vec<u8>>) -> ExitCode {
    let out = options.out.clone();
    // The fuzzer waits until its report is taken, so none pile up.
    let (reports, inbox) = sync_channel(0);
    thread::spawn(move || fuzz(&options, &seeds, &reports));
    let mut trying = Vec::new();
    loop {
        match inbox.recv_timeout(STUCK) {
            Ok(Report::Trying(bytes)) => trying = bytes,
            Ok(Report::Broken(bytes)) => return save(&out, &bytes, "a promise is broken"),
            Ok(Report::Over(files, answers)) => return over(files, &answers),
            Err(RecvTimeoutError::Timeout) => return save(&out, &trying, "the parser is stuck"),
            Err(RecvTimeoutError::Disconnected) => return save(&out, &trying, "the fuzzer ended early"),
        }
    }
}

fn fuzz(options: &Options, seeds: &[Vec<u8>], reports: &SyncSender<Report>) {
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut rng = Rng::new(options.seed);
    let mut pool = seeds.to_vec();
    let mut answers: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut files = 0;
    while Instant::now() < end {
        let bytes = if options.file.is_some() { seeds.concat() } else { mutated(&mut rng, &pool) };
        // A report is refused only if the supervisor is gone, and then the process is about to end.
        drop(reports.send(Report::Trying(bytes.clone())));
        let Ok(parsed) = catch_unwind(|| answer(&bytes)) else {
            drop(reports.send(Report::Broken(bytes)));
            return;
        };
        files += 1;
        let mut said = codes(&parsed);
        said.dedup();
        // An answer never seen is a path never taken: its file becomes a seed.
        if said.iter().any(|code| !answers.contains_key(code)) {
            pool.push(bytes);
        }
        if said.is_empty() {
            said.push("usable");
        }
        said.into_iter().for_each(|code| *answers.entry(code).or_default() += 1);
        if options.file.is_some() {
            break;
        }
    }
    drop(reports.send(Report::Over(files, answers)));
}

/// The most memory the process had, in KiB, where the system says so.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Says how it went. No answer may have needed much memory either.
fn over(files: u64, answers: &BTreeMap<&'static str, u64>) -> ExitCode {
    println!("{files} files, no promise broken");
    answers.iter().for_each(|(code, count)| println!("{count:>10} {code}"));
    let Some(peak) = peak_kib() else { return ExitCode::SUCCESS };
    println!("at most {peak} KiB of memory");
    if peak <= PEAK_KIB_MAX {
        return ExitCode::SUCCESS;
    }
    eprintln!("that is more than {PEAK_KIB_MAX} KiB");
    ExitCode::FAILURE
}

fn save(out: &Path, bytes: &[u8], why: &str) -> ExitCode {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let path = out.join(format!("fuzz-parse-{hash:016x}.yaml"));
    match fs::create_dir_all(out).and_then(|()| fs::write(&path, bytes)) {
        Ok(()) => eprintln!("{why}: the file is saved as {}", path.display()),
        Err(error) => eprintln!("{why}, and the file cannot be saved as {}: {error}\n{bytes:?}", path.display()),
    }
    ExitCode::FAILURE
}
