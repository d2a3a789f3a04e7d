//! A disk that is full, and one that has room again.

use std::process::Command;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::model::{Heard, files, fixture, hear, key, pattern};
use crate::logs::Recovered;
use crate::logs::Stream::{Stderr, Stdout};
use crate::logs::frame::BLOCK;
use crate::{LogPlace, StoreError};

#[test]
fn a_full_disk_is_reported_once_and_leaves_a_gap() {
    let f = fixture(1 << 20, 0);
    f.logs.room.store(100_000, Ordering::SeqCst);
    let mut writer = f.logs.writer(key(1), 1);
    let mut errors = 0;
    for n in 0..30 {
        let appended = writer.append(Stdout, 0, &pattern(n * 10_000, 10_000)).and_then(|()| writer.flush());
        errors += u32::from(matches!(appended, Err(StoreError::NoSpace(_))));
    }
    assert_eq!(errors, 1);
    let before = hear(&f.logs, key(1), None, 0, 1 << 20);
    let kept = before.bytes(Stdout);
    assert_eq!(kept, pattern(0, 90_000));
    f.logs.room.store(u64::MAX, Ordering::SeqCst);
    writer.append(Stdout, 0, &pattern(300_000, 5)).unwrap();
    let place = writer.seal().unwrap();
    let after = hear(&f.logs, key(1), Some(&place), 0, 1 << 20);
    assert_eq!(after.pieces, [Ok((Stdout, kept)), Err(210_000), Ok((Stdout, pattern(300_000, 5)))]);
    assert!(after.end);
}

#[test]
fn of_a_write_that_was_cut_short_the_whole_records_stay() {
    let f = fixture(1 << 20, 0);
    // A mark, a record of 10 bytes, and a part of the next.
    f.logs.room.store(36 + 22 + 15, Ordering::SeqCst);
    let mut writer = f.logs.writer(key(1), 1);
    for stream in [Stdout, Stderr] {
        writer.append(stream, 0, &[b'x'; 10]).unwrap();
    }
    assert!(writer.flush().is_err());
    f.logs.room.store(u64::MAX, Ordering::SeqCst);
    writer.append(Stdout, 0, b"more").unwrap();
    writer.flush().unwrap();
    let heard = hear(&f.logs, key(1), None, 0, 100);
    assert_eq!(heard.pieces, [Ok((Stdout, vec![b'x'; 10])), Err(10), Ok((Stdout, b"more".to_vec()))]);
}

#[test]
fn a_loss_at_the_very_end_is_said_in_the_sealed_log() {
    let f = fixture(1 << 20, 1000);
    let mut writer = f.logs.writer(key(1), 1);
    writer.append(Stdout, 0, b"abc").unwrap();
    writer.flush().unwrap();
    f.logs.room.store(0, Ordering::SeqCst);
    writer.append(Stdout, 0, b"lost").unwrap();
    assert!(writer.flush().is_err());
    let place = writer.seal().unwrap();
    assert!(matches!(place, LogPlace::Inline(_)));
    let heard = hear(&f.logs, key(1), Some(&place), 0, 100);
    assert_eq!(heard.pieces, [Ok((Stdout, b"abc".to_vec())), Err(4)]);
    assert!(heard.end);
}

#[test]
fn a_seal_that_fails_leaves_the_raw_file_for_recovery() {
    let f = fixture(1 << 20, 0);
    let mut writer = f.logs.writer(key(1), 1);
    writer.append(Stdout, 0, b"abc").unwrap();
    writer.flush().unwrap();
    f.logs.room.store(0, Ordering::SeqCst);
    assert!(matches!(writer.seal(), Err(StoreError::NoSpace(_))));
    assert_eq!(hear(&f.logs, key(1), None, 0, 100).bytes(Stdout), b"abc");
    assert_eq!(f.logs.recover(&mut |_| Ok(true)).unwrap(), Recovered { left: 1, ..Recovered::default() });
    f.logs.room.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(f.logs.recover(&mut |_| Ok(true)).unwrap(), Recovered { sealed: 1, ..Recovered::default() });
    let heard = hear(&f.logs, key(1), None, 0, 100);
    assert_eq!((heard.bytes(Stdout), heard.end), (b"abc".to_vec(), true));
    assert_eq!(f.logs.usage_bytes(), files(f.directory.path())[0].1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whenever the disk fills up and has room again, beyond the cap or not: each byte is heard or counted.
    #[test]
    fn every_byte_is_heard_or_counted(
        acts in prop::collection::vec((1usize..60_000, prop::option::of(0u64..200_000), any::<bool>()), 1..40),
    ) {
        let f = fixture(4 * BLOCK, 0);
        let mut writer = f.logs.writer(key(1), 1);
        let (mut total, mut errors) = (0, 0);
        for (len, room, flush) in acts {
            f.logs.room.store(room.unwrap_or(u64::MAX), Ordering::SeqCst);
            errors += u32::from(writer.append(Stdout, 0, &pattern(total, len)).is_err());
            total += len as u64;
            if flush {
                errors += u32::from(writer.flush().is_err());
            }
        }
        prop_assert!(errors <= 1);
        prop_assert!(f.logs.usage_bytes() <= 5 * BLOCK);
        f.logs.room.store(u64::MAX, Ordering::SeqCst);
        writer.flush().unwrap();
        let raw = heard_or_counted(&hear(&f.logs, key(1), None, 0, 1 << 20))?;
        let place = writer.seal().unwrap();
        let sealed = heard_or_counted(&hear(&f.logs, key(1), Some(&place), 0, 1 << 20))?;
        // A gap at the very end shows when something follows it, or when the log is sealed.
        prop_assert!(raw <= total);
        prop_assert_eq!(sealed, total);
        prop_assert_eq!(f.logs.usage_bytes(), files(f.directory.path())[0].1);
    }
}

/// How far into the pattern the pieces go. What was heard is the pattern at its place.
fn heard_or_counted(heard: &Heard) -> Result<u64, TestCaseError> {
    let mut at = 0;
    for piece in &heard.pieces {
        match piece {
            Ok((_, bytes)) => {
                prop_assert!(*bytes == pattern(at, bytes.len()), "at {}", at);
                at += bytes.len() as u64;
            }
            Err(gap) => at += gap,
        }
    }
    Ok(at)
}

/// The kernel's own refusal: a process that may not write files beyond 128 KiB.
#[test]
fn the_kernels_refusal_is_taken_like_a_full_disk() {
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "logs::tests::disk::child_under_a_file_limit", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "the child of the_kernels_refusal_is_taken_like_a_full_disk"]
fn child_under_a_file_limit() {
    let f = fixture(1 << 20, 0);
    let mut writer = f.logs.writer(key(1), 1);
    let errors: Vec<_> = (0..10).filter_map(|n| writer.append(Stdout, 0, &pattern(n * 50_000, 50_000)).err()).collect();
    assert!(matches!(errors.as_slice(), [StoreError::NoSpace(_)]), "{errors:?}");
    let heard = hear(&f.logs, key(1), None, 0, 1 << 20).bytes(Stdout);
    assert_eq!(heard, pattern(0, heard.len()));
    assert!(heard.len() > 100_000);
}
