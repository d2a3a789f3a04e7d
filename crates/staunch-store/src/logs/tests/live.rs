//! Readers beside a writer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::model::{Heard, fixture, key, pattern};
use crate::logs::Lines;
use crate::logs::Stream::Stdout;
use crate::logs::frame::BLOCK;

#[test]
fn a_follower_hears_every_byte_while_it_is_written() {
    let f = fixture(64 << 20, 0);
    let over = AtomicBool::new(false);
    let total = 3_000_000;
    thread::scope(|scope| {
        let mut writer = f.logs.writer(key(1), 1);
        let over = &over;
        scope.spawn(move || {
            let mut at = 0u64;
            while at < total {
                let n = (1 + at % 1_777).min(total - at);
                writer.append(Stdout, 0, &pattern(at, n as usize)).unwrap();
                at += n;
                if at.is_multiple_of(3) {
                    writer.flush().unwrap();
                }
            }
            writer.flush().unwrap();
            over.store(true, Ordering::SeqCst);
            // Sealed while they read; they find the sealed file by themselves.
            writer.seal().unwrap();
        });
        for bytes_max in [500, 100_000] {
            let logs = &f.logs;
            scope.spawn(move || {
                let mut heard = Heard::default();
                while !heard.end {
                    let at = heard.next;
                    let page = logs.read(key(1), 1, None, at, bytes_max).unwrap();
                    assert_eq!(page.gap, 0);
                    heard.take(page, at);
                }
                assert!(over.load(Ordering::SeqCst));
                assert_eq!(heard.bytes(Stdout), pattern(0, total as usize));
            });
        }
    });
}

#[test]
fn a_follower_that_is_overtaken_never_hears_a_torn_line() {
    let f = fixture(4 * BLOCK, 0);
    let lines_total = 400_000u64;
    thread::scope(|scope| {
        let mut writer = f.logs.writer(key(1), 1);
        scope.spawn(move || {
            for n in 0..lines_total {
                writer.append(Stdout, 0, format!("{n:015}\n").as_bytes()).unwrap();
            }
            writer.seal().unwrap();
        });
        let logs = &f.logs;
        scope.spawn(move || {
            let (mut cursor, mut end) = (0, false);
            let mut lines = Lines::new(100);
            let (mut newest, mut gaps, mut jumps) = (None, 0, 0);
            while !end {
                let page = logs.read(key(1), 1, None, cursor, 30_000).unwrap();
                let mut torn = 0;
                if page.gap > 0 {
                    gaps += 1;
                    torn = 1;
                    lines.gap(&mut |line| assert!(!line.ended));
                }
                for record in &page.records {
                    lines.push(record, &mut |line| {
                        let n = line.text().parse::<u64>().unwrap();
                        // Right behind a gap stands the rest of a line.
                        if line.bytes.len() == 15 && newest.is_none_or(|newest| n > newest) {
                            jumps += u64::from(newest.map_or(0, |newest| newest + 1) != n);
                            newest = Some(n);
                        } else {
                            assert_eq!(torn, 1, "{n} after {newest:?}");
                        }
                        torn = 0;
                    });
                }
                (cursor, end) = (page.next, page.end);
            }
            assert!(jumps <= gaps, "{jumps} jumps, {gaps} gaps");
            assert_eq!(newest, Some(lines_total - 1));
        });
    });
}
