//! What a dead writer leaves behind.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::model::{Fixture, files, fixture, hear, key, limits, pattern};
use crate::logs::Stream::{Stderr, Stdout};
use crate::logs::frame::{BLOCK, HEADER, MARK};
use crate::logs::name::{Form, LogName};
use crate::logs::{Logs, Recovered};

const DIRECTORY: &str = "STAUNCH_TEST_LOGS";

fn raw_path(f: &Fixture) -> PathBuf {
    f.logs.root().join(LogName { attempt: key(1), epoch: 1 }.path(Form::Raw))
}

/// A file of one full block and a part of another, of records of both streams.
fn torn_fixture() -> (Fixture, Vec<u64>) {
    let f = fixture(1 << 20, 0);
    let mut writer = f.logs.writer(key(1), 1);
    let mut ends = Vec::new();
    let mut total = 65_000;
    writer.append(Stdout, 0, &pattern(0, 65_000)).unwrap();
    ends.push(total);
    for n in 0..60 {
        let stream = if n % 2 == 0 { Stderr } else { Stdout };
        let bytes = pattern(total, 7 + n);
        total += bytes.len() as u64;
        writer.append(stream, 0, &bytes).unwrap();
        ends.push(total);
    }
    drop(writer);
    (f, ends)
}

/// The bytes of both streams in order; panics at a gap.
fn all(f: &Fixture) -> Vec<u8> {
    hear(&f.logs, key(1), None, 0, 1 << 20).pieces.into_iter().flat_map(|piece| piece.unwrap().1).collect()
}

#[test]
fn cut_off_at_every_byte_of_the_last_block() {
    let (f, ends) = torn_fixture();
    let whole = all(&f);
    assert_eq!(Some(&(whole.len() as u64)), ends.last());
    let path = raw_path(&f);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    assert!(len > BLOCK && len < BLOCK + 8000);
    let mut seen = whole.len();
    for cut in (BLOCK - 30..len).rev() {
        file.set_len(cut).unwrap();
        let left = all(&f);
        assert!(whole.starts_with(&left) && left.len() <= seen, "at {cut}");
        // A record that spans two blocks was split, so whole records are the appended ones or end with the block.
        seen = left.len();
    }
    assert!(seen <= 65_000 + 488);
}

#[test]
fn torn_into_zeros_at_every_byte_of_the_last_block() {
    let (f, _) = torn_fixture();
    let whole = all(&f);
    let path = raw_path(&f);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    let mut seen = whole.len();
    for at in (BLOCK..len).rev() {
        file.write_all_at(&[0], at).unwrap();
        let left = all(&f);
        assert!(whole.starts_with(&left) && left.len() <= seen, "at {at}");
        seen = left.len();
    }
    assert!(seen < 65_536);
}

#[test]
fn beyond_the_cap_the_file_alone_tells_what_the_writer_told() {
    // Ends in each part of a block, with what the slot held before behind it.
    for extra in [0, 1, 20_000, 40_000, 65_000, 65_488, 65_489, 70_000] {
        let f = fixture(6 * BLOCK, 0);
        let mut writer = f.logs.writer(key(1), 1);
        for n in 0..40 {
            let stream = if n % 3 == 0 { Stderr } else { Stdout };
            writer.append(stream, 0, &pattern(n * 30_000, 30_000)).unwrap();
        }
        writer.append(Stdout, 0, &pattern(40 * 30_000, extra)).unwrap();
        writer.flush().unwrap();
        let live = hear(&f.logs, key(1), None, 0, 1 << 20);
        drop(writer);
        let left = hear(&f.logs, key(1), None, 0, 1 << 20);
        assert_eq!(left.pieces, live.pieces);
        assert_eq!(left.gaps().len(), 1);
        let recovered = f.logs.recover(&mut |_| Ok(true)).unwrap();
        assert_eq!(recovered, Recovered { sealed: 1, ..Recovered::default() });
        let sealed = hear(&f.logs, key(1), None, 0, 1 << 20);
        assert_eq!((sealed.pieces, sealed.end), (live.pieces, true));
    }
}

#[test]
fn what_a_slot_held_before_is_not_taken_for_the_newest() {
    // Four records fill a block, so they lie at the same places in each: those of a former round look whole here.
    let len = (BLOCK as usize - MARK) / 4 - HEADER;
    let f = fixture(4 * BLOCK, 0);
    let mut writer = f.logs.writer(key(1), 1);
    for n in 0..50 {
        writer.append(Stdout, 0, &pattern(n * len as u64, len)).unwrap();
        writer.flush().unwrap();
    }
    let live = hear(&f.logs, key(1), None, 0, 1 << 20);
    drop(writer);
    let left = hear(&f.logs, key(1), None, 0, 1 << 20);
    assert_eq!((left.pieces, left.next), (live.pieces, live.next));
}

#[test]
fn recovery_removes_what_nobody_remembers_and_what_is_unfinished() {
    let f = fixture(1 << 20, 0);
    for n in 1..=4 {
        let mut writer = f.logs.writer(key(n), 1);
        writer.append(Stdout, 0, b"abc").unwrap();
        if n % 2 == 0 {
            writer.seal().unwrap();
        }
    }
    // Sealed and renamed, but killed before the raw file was removed; and killed in the middle of sealing.
    let sealed = f.logs.root().join(LogName { attempt: key(2), epoch: 1 }.path(Form::Sealed));
    std::fs::write(sealed.with_extension(""), b"raw").unwrap();
    std::fs::write(sealed.with_file_name("3.1.2.log.zst.tmp"), b"half").unwrap();
    // Made, and killed before the first byte was in.
    std::fs::write(sealed.with_file_name("3.1.3.log"), b"").unwrap();
    let foreign = sealed.with_file_name("notes.txt");
    std::fs::write(&foreign, b"not ours").unwrap();
    let root = f.directory.path().join("logs");
    let logs = Logs::open(root.clone(), limits(1 << 20, 0)).unwrap();
    let mut live = logs.writer(key(9), 1);
    live.append(Stdout, 0, b"running").unwrap();
    live.flush().unwrap();
    let recovered = logs.recover(&mut |name| Ok(name.attempt.run != key(3).run && name.attempt.run != key(4).run));
    assert_eq!(recovered.unwrap(), Recovered { removed: 5, sealed: 1, left: 0 });
    let left: Vec<_> = files(&root).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["3.1.1.log", "3.1.1.log.zst", "3.1.1.log.zst", "notes.txt"]);
    assert_eq!(logs.usage_bytes(), files(&root).iter().map(|(_, len)| len).sum::<u64>());
    for n in [1, 2] {
        assert_eq!(hear(&logs, key(n), None, 0, 10).bytes(Stdout), b"abc");
    }
    assert!(logs.remove(key(9).run).is_err(), "its writer lives");
    drop(live);
    for n in [1, 2, 9] {
        logs.remove(key(n).run).unwrap();
    }
    assert_eq!((logs.usage_bytes(), files(&root)), (0, vec![]));
}

#[test]
fn what_an_older_writer_of_the_same_name_left_is_overwritten() {
    let f = fixture(1 << 20, 0);
    for text in ["the first one, which is longer", "second"] {
        let mut writer = f.logs.writer(key(1), 1);
        writer.append(Stdout, 0, text.as_bytes()).unwrap();
        writer.flush().unwrap();
        assert_eq!(hear(&f.logs, key(1), None, 0, 100).bytes(Stdout), text.as_bytes());
        assert_eq!(f.logs.usage_bytes(), files(f.logs.root())[0].1);
    }
}

#[test]
fn names_are_parsed_only_as_they_are_written() {
    let name = LogName { attempt: key(7), epoch: 4 };
    for form in [Form::Raw, Form::Sealed, Form::Temporary] {
        let path = name.path(form);
        let file = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(LogName::parse(key(7).run, file), Some((name, form)));
    }
    for file in ["3.1.4", "3.1.log", "3.1.4.5.log", "+3.1.4.log", "03.1.4.log", "3.1.4.log.gz", ".log", "3.1.4.log.tmp"]
    {
        assert_eq!(LogName::parse(key(7).run, file), None, "{file}");
    }
    let dated = LogName { attempt: crate::AttemptKey { run: crate::RunId::generate(), ..key(1) }, epoch: 1 };
    let day = dated.path(Form::Raw).iter().next().unwrap().to_str().unwrap().to_owned();
    assert!(day.len() == 8 && day.starts_with("20") && day.bytes().all(|b| b.is_ascii_digit()), "{day}");
}

/// Kills a process that writes and seals logs, ten times, each at another moment.
#[test]
fn kill_9_in_the_middle_of_writes_and_seals_loses_nothing_that_was_flushed() {
    for round in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "logs::tests::crash::child_that_writes_until_killed", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told: Vec<(u128, u64)> = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some((n, flushed)) = line.unwrap().strip_prefix("flushed ").and_then(|rest| rest.split_once(' ')) {
                told.push((n.parse().unwrap(), flushed.parse().unwrap()));
            }
            if told.len() > 15 + round * 7 {
                child.kill().ok();
            }
        }
        child.wait().unwrap();
        assert!(told.len() > 15);
        check_after_kill(directory.path(), &told);
    }
}

fn check_after_kill(directory: &Path, told: &[(u128, u64)]) {
    let logs = Logs::open(directory.to_path_buf(), limits(4 * BLOCK, 0)).unwrap();
    let on_disk = || files(directory).iter().map(|(_, len)| len).sum::<u64>();
    assert_eq!(logs.usage_bytes(), on_disk());
    let recovered = logs.recover(&mut |_| Ok(true)).unwrap();
    assert_eq!(recovered.left, 0);
    assert!(files(directory).iter().all(|(name, _)| name.ends_with(".log.zst")));
    for (n, flushed) in told {
        let heard = hear(&logs, key(*n), None, 0, 1 << 20);
        let mut at = 0;
        for piece in heard.pieces {
            match piece {
                Ok((_, bytes)) => {
                    assert!(bytes == pattern(at, bytes.len()), "log {n} at {at}");
                    at += bytes.len() as u64;
                }
                Err(gap) => at += gap,
            }
        }
        assert!(heard.end && at >= *flushed, "log {n}: {at} of {flushed}");
    }
    assert_eq!(logs.usage_bytes(), on_disk());
    logs.recover(&mut |_| Ok(false)).unwrap();
    assert_eq!((logs.usage_bytes(), files(directory)), (0, vec![]));
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
}

#[test]
#[ignore = "the child of kill_9_in_the_middle_of_writes_and_seals_loses_nothing_that_was_flushed"]
fn child_that_writes_until_killed() {
    use std::io::Write;
    let logs = Logs::open(std::env::var_os(DIRECTORY).unwrap().into(), limits(4 * BLOCK, 0)).unwrap();
    let mut out = std::io::stdout();
    // An end, in case the parent dies first.
    for n in 1..5_000u128 {
        let mut writer = logs.writer(key(n), 1);
        let mut total = 0;
        for step in 0..8u64 {
            let len = 1 + (n as usize * 7919 + step as usize * 104_729) % 90_000;
            writer.append(Stdout, 0, &pattern(total, len)).unwrap();
            total += len as u64;
            writer.flush().unwrap();
            writeln!(out, "flushed {n} {total}").unwrap();
        }
        writer.seal().unwrap();
    }
}
