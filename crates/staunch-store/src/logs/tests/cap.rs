//! The cap: head and tail stay, the middle goes, the count of what went is exact.

use std::os::unix::fs::MetadataExt;

use super::model::{Heard, files, fixture, hear, key, pattern};
use crate::logs::Stream::{Stderr, Stdout};
use crate::logs::frame::{BLOCK, HEADER, MARK};
use crate::logs::name::{Form, LogName};
use crate::logs::reader::RECORD_COST;

/// What one record can hold that fills a block.
const PER_BLOCK: u64 = BLOCK - (HEADER + MARK) as u64;

/// Heard all of `total` bytes of the pattern: as they were, or as a gap.
fn assert_heard(heard: &Heard, total: u64) {
    let mut at = 0;
    for piece in &heard.pieces {
        match piece {
            Ok((_, bytes)) => {
                assert_eq!(*bytes, pattern(at, bytes.len()), "at {at}");
                at += bytes.len() as u64;
            }
            Err(gap) => at += gap,
        }
    }
    assert_eq!(at, total);
}

#[test]
fn below_at_and_over_the_cap_and_back_to_zero() {
    // 8 blocks: 2 for the head, 6 for the tail, and the one being written.
    let cap = 8 * BLOCK;
    let full = 9 * PER_BLOCK;
    for (total, gap) in [
        (full - 1, vec![]),
        (full, vec![]),
        (full + 1, vec![PER_BLOCK]),
        (full + PER_BLOCK, vec![PER_BLOCK]),
        (full + PER_BLOCK + 1, vec![2 * PER_BLOCK]),
        (40 * full, vec![39 * full]),
    ] {
        let f = fixture(cap, 0);
        let mut writer = f.logs.writer(key(1), 1);
        let mut at = 0;
        while at < total {
            let n = (total - at).min(50_000);
            writer.append(Stdout, 0, &pattern(at, n as usize)).unwrap();
            at += n;
        }
        writer.flush().unwrap();
        assert!(f.logs.usage_bytes() <= cap + BLOCK);
        let raw = hear(&f.logs, key(1), None, 0, 1 << 20);
        assert_heard(&raw, total);
        assert_eq!(raw.gaps(), gap, "{total}");
        let place = writer.seal().unwrap();
        let sealed = hear(&f.logs, key(1), Some(&place), 0, 100_000);
        assert_eq!((&sealed.pieces, sealed.next, sealed.end), (&raw.pieces, raw.next, true));
        let mut copy = Vec::new();
        f.logs.copy_to(key(1), 1, Some(&place), None, &mut copy).unwrap();
        let marker = gap.first().map(|gap| format!("\n[... {gap} bytes left out ...]\n"));
        assert_eq!(
            copy.windows(5).any(|w| w == b"[... "),
            marker.is_some_and(|m| copy.windows(m.len()).any(|w| w == m.as_bytes()))
        );
        f.logs.remove(key(1).run).unwrap();
        assert_eq!((f.logs.usage_bytes(), files(f.directory.path())), (0, vec![]));
    }
}

#[test]
fn two_hundred_megabytes_stay_within_the_cap_on_disk() {
    let cap = 4 << 20;
    let f = fixture(cap, 0);
    let mut writer = f.logs.writer(key(1), 1);
    let chunk = 1 << 20;
    let base = pattern(0, chunk);
    let of = |n: u8| -> Vec<u8> { [&[n], &base[1..]].concat() };
    let path = f.logs.root().join(LogName { attempt: key(1), epoch: 1 }.path(Form::Raw));
    for n in 0..200 {
        writer.append(Stdout, 0, &of(n)).unwrap();
        let disk = std::fs::metadata(&path).map_or(0, |m| m.blocks() * 512);
        // A filesystem may round up by a page and count a block of its own tree.
        assert!(disk <= cap + BLOCK + 8192, "{disk}");
    }
    let place = writer.seal().unwrap();
    let heard = hear(&f.logs, key(1), Some(&place), 0, 1 << 20);
    let [Ok((_, head)), Err(gap), Ok((_, tail))] = heard.pieces.as_slice() else {
        panic!("{} pieces", heard.pieces.len());
    };
    assert_eq!(head.len() as u64, cap / 4 / BLOCK * PER_BLOCK);
    assert!(tail.len() as u64 > cap / 4 * 3 - BLOCK);
    assert_eq!(head.len() as u64 + gap + tail.len() as u64, 200 << 20);
    assert!(of(0).starts_with(head));
    assert!(tail.ends_with(&of(199)));
}

#[test]
fn the_smallest_cap_is_two_blocks() {
    let f = fixture(0, 0);
    let mut writer = f.logs.writer(key(1), 1);
    for at in 0..100 {
        writer.append(Stdout, 0, &pattern(at * 10_000, 10_000)).unwrap();
    }
    writer.flush().unwrap();
    assert!(f.logs.usage_bytes() <= 3 * BLOCK);
    let heard = hear(&f.logs, key(1), None, 0, 1 << 20);
    assert_heard(&heard, 1_000_000);
    assert_eq!(heard.gaps().len(), 1);
}

#[test]
fn a_reader_that_was_overtaken_hears_of_a_gap_and_goes_on() {
    let f = fixture(8 * BLOCK, 0);
    let mut writer = f.logs.writer(key(1), 1);
    writer.append(Stdout, 0, &pattern(0, 300_000)).unwrap();
    writer.flush().unwrap();
    let first = f.logs.read(key(1), 1, None, 0, 250_000).unwrap();
    let read: u64 = first.records.iter().map(|r| r.bytes.len() as u64).sum();
    let expected = 250_000 - read_cost(first.records.len());
    // A cut may step back from what looks like the inside of a character.
    assert!((expected - 3..=expected).contains(&read));
    writer.append(Stdout, 0, &pattern(300_000, 3_000_000)).unwrap();
    writer.flush().unwrap();
    let page = f.logs.read(key(1), 1, None, first.next, 1 << 20).unwrap();
    let kept: u64 = page.records.iter().map(|r| r.bytes.len() as u64).sum();
    let exact = 3_300_000 - kept - read;
    let frames = 50 * (MARK + HEADER) as u64;
    assert!(page.gap >= exact && page.gap <= exact + frames, "{} for {exact}", page.gap);
    assert_eq!(page.records[0].bytes, pattern(3_300_000 - kept, page.records[0].bytes.len()));
}

fn read_cost(records: usize) -> u64 {
    (records as u64 - 1) * RECORD_COST as u64
}

#[test]
fn a_page_of_many_small_records_stays_within_its_bytes() {
    let f = fixture(8 << 20, 0);
    let mut writer = f.logs.writer(key(1), 1);
    for n in 0..30_000 {
        writer.append(if n % 2 == 0 { Stdout } else { Stderr }, 0, b"x").unwrap();
    }
    writer.flush().unwrap();
    for bytes_max in [1, 1_000, 100_000] {
        let page = f.logs.read(key(1), 1, None, 0, bytes_max).unwrap();
        let held: usize = page.records.iter().map(|r| r.bytes.capacity() + RECORD_COST).sum();
        assert!(
            held <= bytes_max + RECORD_COST && (bytes_max < 1_000 || held > bytes_max / 2),
            "{held} for {bytes_max}"
        );
    }
    assert_eq!(hear(&f.logs, key(1), None, 0, 100_000).bytes(Stderr), vec![b'x'; 15_000]);
}
