//! Ground row G5 for logs: whatever becomes of a log, no file and no descriptor stays behind.

use std::sync::atomic::Ordering;

use super::model::{Fixture, files, fixture, hear, key, pattern};
use crate::LogPlace;
use crate::logs::Stream::{Stderr, Stdout};
use crate::logs::frame::BLOCK;

/// Descriptors of this process that point below the fixture's directory; other tests run beside this one.
fn descriptors(f: &Fixture) -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .filter(|target| target.starts_with(f.directory.path()))
        .count()
}

fn entries(f: &Fixture) -> usize {
    std::fs::read_dir(f.logs.root()).unwrap().count()
}

fn assert_nothing_left(f: &Fixture) {
    assert_eq!((descriptors(f), files(f.directory.path()), f.logs.usage_bytes()), (0, vec![], 0));
    assert!(!f.logs.is_live(crate::logs::LogName { attempt: key(1), epoch: 1 }));
}

#[test]
fn ground_g5_log_sealed_and_removed_leaves_nothing() {
    for (inline, len) in [(0, 10), (1000, 10), (0, 20 * BLOCK as usize), (1000, 0)] {
        let f = fixture(4 * BLOCK, inline);
        for _ in 0..5 {
            let mut writer = f.logs.writer(key(1), 1);
            writer.append(Stdout, 0, &pattern(0, len)).unwrap();
            writer.append(Stderr, 0, &pattern(0, len)).unwrap();
            writer.flush().unwrap();
            let place = writer.seal().unwrap();
            assert!(hear(&f.logs, key(1), Some(&place), 0, 10_000).end);
            assert_eq!(descriptors(&f), 0);
            assert_eq!(files(f.directory.path()).len(), usize::from(matches!(place, LogPlace::File { .. })));
            f.logs.remove(key(1).run).unwrap();
            assert_nothing_left(&f);
        }
    }
}

#[test]
fn ground_g5_log_dropped_unsealed_is_recovered_or_removed() {
    let f = fixture(4 * BLOCK, 1000);
    for remembered in [true, false] {
        let mut writer = f.logs.writer(key(1), 1);
        writer.append(Stdout, 0, b"never flushed").unwrap();
        drop(writer);
        assert_eq!(descriptors(&f), 0);
        assert_eq!(hear(&f.logs, key(1), None, 0, 100).bytes(Stdout), b"never flushed");
        f.logs.recover(&mut |_| Ok(remembered)).unwrap();
        assert_eq!(files(f.directory.path()).len(), usize::from(remembered));
        f.logs.remove(key(1).run).unwrap();
        assert_nothing_left(&f);
    }
    assert_eq!(entries(&f), 0);
}

#[test]
fn ground_g5_log_on_a_full_disk_leaves_nothing() {
    let f = fixture(4 * BLOCK, 0);
    // The disk fills up at every stage: before the file, within a block, at the seal.
    for room in (0..6 * BLOCK).step_by(10_000) {
        f.logs.room.store(room, Ordering::SeqCst);
        let mut writer = f.logs.writer(key(1), 1);
        for at in 0..20 {
            writer.append(Stdout, 0, &pattern(at * 20_000, 20_000)).ok();
        }
        let sealed = writer.seal();
        assert_eq!(descriptors(&f), 0);
        assert_eq!(f.logs.usage_bytes(), files(f.directory.path()).iter().map(|(_, len)| len).sum::<u64>());
        assert!(files(f.directory.path()).iter().all(|(name, _)| !name.ends_with(".tmp")));
        drop(sealed);
        f.logs.remove(key(1).run).unwrap();
        assert_nothing_left(&f);
    }
}

#[test]
fn ground_g5_log_that_cannot_be_read_leaves_no_descriptor() {
    let f = fixture(4 * BLOCK, 0);
    let mut writer = f.logs.writer(key(1), 1);
    writer.append(Stdout, 0, &pattern(0, 200_000)).unwrap();
    let place = writer.seal().unwrap();
    let path =
        f.logs.root().join(crate::logs::LogName { attempt: key(1), epoch: 1 }.path(super::super::name::Form::Sealed));
    let good = std::fs::read(&path).unwrap();
    // Cut off anywhere, or with any byte changed: an error or less output, never a panic nor wrong bytes.
    let ends = (0..60).chain(good.len() - 80..good.len());
    for at in ends.chain((60..good.len()).step_by(good.len() / 200)) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        for bytes in [&good[..at], &bad] {
            std::fs::write(&path, bytes).unwrap();
            if let Ok(page) = f.logs.read(key(1), 1, Some(&place), 0, 1 << 20) {
                let told: Vec<u8> = page.records.into_iter().flat_map(|record| record.bytes).collect();
                assert!(page.gap > 0 || told == pattern(0, told.len()));
            }
            f.logs.tail(key(1), 1, Some(&place), 5).ok();
            assert_eq!(descriptors(&f), 0);
        }
    }
}
