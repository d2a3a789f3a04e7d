//! Lines out of records.

use proptest::prelude::*;

use crate::logs::Stream::{Stderr, Stdout};
use crate::logs::{Line, Lines, Record, Stream};

fn record(cursor: u64, stream: Stream, bytes: &[u8]) -> Record {
    Record { cursor, stream, ms: cursor as u32, bytes: bytes.to_vec() }
}

fn lines_of(max: usize, records: &[Record]) -> Vec<Line> {
    let mut lines = Lines::new(max);
    let mut out = Vec::new();
    for record in records {
        lines.push(record, &mut |line| out.push(line));
    }
    lines.finish(&mut |line| out.push(line));
    out
}

#[test]
fn each_stream_has_its_own_lines() {
    let records =
        [record(10, Stdout, b"out 1\nout"), record(40, Stderr, b"err 1\r\n\n"), record(60, Stdout, b" 2\nout 3")];
    let told: Vec<_> = lines_of(100, &records).into_iter().map(|l| (l.cursor, l.stream, l.text(), l.ended)).collect();
    assert_eq!(
        told,
        [
            (10, Stdout, "out 1".to_owned(), true),
            (40, Stderr, "err 1\r".to_owned(), true),
            (47, Stderr, String::new(), true),
            (16, Stdout, "out 2".to_owned(), true),
            (63, Stdout, "out 3".to_owned(), false),
        ]
    );
}

#[test]
fn a_line_below_at_and_over_the_bound() {
    for (len, parts) in [(9, vec![9]), (10, vec![10]), (11, vec![10, 1]), (25, vec![10, 10, 5])] {
        for step in [1, 3, 10, 100] {
            let mut text = vec![b'x'; len];
            text.push(b'\n');
            let records: Vec<_> = text
                .chunks(step)
                .scan(0, |at, chunk| {
                    let record = record(*at, Stdout, chunk);
                    *at += chunk.len() as u64;
                    Some(record)
                })
                .collect();
            let lines = lines_of(10, &records);
            assert_eq!(lines.iter().map(|l| l.bytes.len()).collect::<Vec<_>>(), parts);
            assert!(lines.last().unwrap().ended && lines.iter().rev().skip(1).all(|l| !l.ended));
            let at: Vec<_> = lines.iter().map(|l| l.cursor).collect();
            assert_eq!(at, (0..parts.len() as u64).map(|i| i * 10).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_gap_ends_what_was_begun() {
    let mut lines = Lines::new(100);
    let mut out = Vec::new();
    lines.push(&record(5, Stdout, b"begun"), &mut |line| out.push(line));
    assert_eq!((lines.begun_at(), out.len()), (Some(5), 0));
    lines.gap(&mut |line| out.push(line));
    assert_eq!(lines.begun_at(), None);
    lines.push(&record(500, Stdout, b"rest\n"), &mut |line| out.push(line));
    assert_eq!(
        out.iter().map(|l| (l.text(), l.ended)).collect::<Vec<_>>(),
        [("begun".to_owned(), false), ("rest".to_owned(), true)]
    );
}

#[test]
fn invalid_bytes_are_kept_raw_and_replaced_in_text() {
    let lines = lines_of(100, &[record(0, Stdout, b"a\xffb\xe2\x82\n")]);
    assert_eq!(lines[0].bytes, b"a\xffb\xe2\x82");
    assert_eq!(lines[0].text(), "a\u{fffd}b\u{fffd}");
}

proptest! {
    /// However text is cut into records, its lines come out whole, without a replacement character.
    #[test]
    fn any_cut_gives_the_same_lines(text in "([a-zé€𝄞]{0,12}\n){0,12}[é€]{0,3}", cuts in prop::collection::vec(1usize..5, 1..40), max in 4usize..60) {
        let mut rest = text.as_bytes();
        let mut records = Vec::new();
        for n in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*n).min(rest.len()));
            records.push(record((text.len() - rest.len()) as u64, Stdout, now));
            rest = later;
        }
        let lines = lines_of(max, &records);
        let mut back = String::new();
        for line in &lines {
            prop_assert!(line.bytes.len() <= max);
            prop_assert!(!line.text().contains(char::REPLACEMENT_CHARACTER));
            prop_assert_eq!(line.cursor, back.len() as u64);
            back.push_str(&line.text());
            if line.ended {
                back.push('\n');
            }
        }
        prop_assert_eq!(back, text);
    }

    /// Any bytes at all: nothing is lost and no bound is passed.
    #[test]
    fn any_bytes_come_back(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..30), 0..20), max in 0usize..20) {
        let records: Vec<_> = chunks.iter().map(|chunk| record(0, Stderr, chunk)).collect();
        let mut back = Vec::new();
        for line in lines_of(max, &records) {
            prop_assert!(line.bytes.len() <= max.max(4));
            back.extend(&line.bytes);
            back.extend(line.ended.then_some(b'\n'));
        }
        prop_assert_eq!(back, chunks.concat());
    }
}
