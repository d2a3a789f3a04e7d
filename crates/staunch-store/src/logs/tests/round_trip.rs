//! What goes in comes out, wherever the log lies.

use proptest::prelude::*;

use super::model::{fixture, hear, key, pattern};
use crate::LogPlace;
use crate::logs::Stream::{self, Stderr, Stdout};

#[test]
fn a_log_without_a_byte_is_nowhere_and_makes_no_file() {
    let f = fixture(1 << 20, 100);
    let mut writer = f.logs.writer(key(1), 1);
    writer.append(Stdout, 0, b"").unwrap();
    writer.flush().unwrap();
    assert_eq!(writer.seal().unwrap(), LogPlace::Nowhere);
    assert!(super::model::files(f.directory.path()).is_empty());
    let page = f.logs.read(key(1), 1, Some(&LogPlace::Nowhere), 0, 10).unwrap();
    assert!(page.end && page.records.is_empty() && page.gap == 0);
}

#[test]
fn neighbors_of_a_stream_become_one_record_with_the_first_time() {
    let f = fixture(1 << 20, 1000);
    let mut writer = f.logs.writer(key(1), 1);
    writer.append(Stdout, 5, b"a").unwrap();
    writer.append(Stdout, 6, b"b").unwrap();
    writer.append(Stderr, 7, b"c").unwrap();
    writer.flush().unwrap();
    writer.append(Stderr, 8, b"d").unwrap();
    writer.flush().unwrap();
    let page = f.logs.read(key(1), 1, None, 0, 1 << 20).unwrap();
    let seen: Vec<_> = page.records.iter().map(|r| (r.stream, r.ms, r.bytes.as_slice())).collect();
    assert_eq!(seen, [(Stdout, 5, &b"ab"[..]), (Stderr, 7, b"c"), (Stderr, 8, b"d")]);
}

#[test]
fn inline_below_and_at_the_bound_a_file_over_it() {
    // A mark of 36 bytes, a header of 12, and the bytes.
    for (bound, inline) in [(53, true), (52, true), (51, false)] {
        let f = fixture(1 << 20, bound);
        let mut writer = f.logs.writer(key(1), 1);
        writer.append(Stdout, 0, b"1234").unwrap();
        writer.flush().unwrap();
        assert_eq!(f.logs.usage_bytes(), 52);
        let place = writer.seal().unwrap();
        assert_eq!(matches!(place, LogPlace::Inline(_)), inline, "{bound}");
        let heard = hear(&f.logs, key(1), Some(&place), 0, 3);
        assert_eq!((heard.bytes(Stdout), heard.end), (b"1234".to_vec(), true));
        let on_disk: u64 = super::model::files(f.directory.path()).iter().map(|(_, len)| len).sum();
        assert_eq!(f.logs.usage_bytes(), on_disk);
        assert_eq!(on_disk > 0, !inline);
        f.logs.remove(key(1).run).unwrap();
        assert_eq!(f.logs.usage_bytes(), 0);
    }
}

#[derive(Clone, Debug)]
enum Act {
    Append(Stream, usize),
    Flush,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let stream = prop_oneof![Just(Stdout), Just(Stderr)];
    let len = prop_oneof![4 => 1usize..200, 1 => 1usize..70_000, 1 => 65_400usize..65_600];
    let act = prop_oneof![4 => (stream, len).prop_map(|(s, n)| Act::Append(s, n)), 1 => Just(Act::Flush)];
    prop::collection::vec(act, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any appends and flushes, any page size, any cursor: raw, inline and sealed all tell the model's bytes.
    #[test]
    fn any_log_reads_as_written(acts in acts(), page in 1usize..300_000, inline in 0usize..200_000, at in 0.0f64..1.0) {
        let f = fixture(64 << 20, inline);
        let mut writer = f.logs.writer(key(1), 1);
        let mut told: Vec<(Stream, Vec<u8>)> = Vec::new();
        let mut total = 0;
        for act in &acts {
            match act {
                Act::Append(stream, len) => {
                    let bytes = pattern(total, *len);
                    total += *len as u64;
                    writer.append(*stream, 1, &bytes).unwrap();
                    match told.last_mut() {
                        Some((last, all)) if last == stream => all.extend(bytes),
                        _ => told.push((*stream, bytes)),
                    }
                }
                Act::Flush => writer.flush().unwrap(),
            }
        }
        writer.flush().unwrap();
        let told: Vec<_> = told.into_iter().map(Ok).collect();
        // Small pages of a large log would take for ever.
        let page = page.max(total as usize / 100);
        let raw = hear(&f.logs, key(1), None, 0, page);
        prop_assert_eq!(&raw.pieces, &told);
        prop_assert!(!raw.end);
        // From the middle: a suffix of each stream, and the same one once it is sealed.
        let middle = (raw.next as f64 * at) as u64;
        let suffix = hear(&f.logs, key(1), None, middle, page);
        for stream in [Stdout, Stderr] {
            prop_assert!(raw.bytes(stream).ends_with(&suffix.bytes(stream)));
        }
        let place = writer.seal().unwrap();
        let sealed = hear(&f.logs, key(1), Some(&place), 0, page);
        prop_assert_eq!(&sealed.pieces, &told);
        prop_assert!(sealed.end);
        prop_assert_eq!(sealed.next, raw.next);
        let sealed_suffix = hear(&f.logs, key(1), Some(&place), middle, page);
        prop_assert_eq!(sealed_suffix.pieces, suffix.pieces);
        for only in [None, Some(Stdout), Some(Stderr)] {
            let mut copy = Vec::new();
            let copied = f.logs.copy_to(key(1), 1, Some(&place), only, &mut copy).unwrap();
            let expected: Vec<u8> = told.iter().flatten().filter(|(s, _)| only.is_none_or(|o| o == *s))
                .flat_map(|(_, b)| b.clone()).collect();
            prop_assert_eq!(copied, expected.len() as u64);
            prop_assert_eq!(copy, expected);
        }
    }
}

#[test]
fn tail_is_where_the_last_lines_begin() {
    let f = fixture(64 << 20, 0);
    let mut writer = f.logs.writer(key(1), 1);
    let mut all = String::new();
    for n in 0..30_000 {
        let line = format!("line {n}\n");
        writer.append(Stdout, 0, line.as_bytes()).unwrap();
        all.push_str(&line);
    }
    writer.flush().unwrap();
    let check = |place: Option<&LogPlace>| {
        for lines in [0, 1, 2, 100, 10_000, 29_999, 30_000, 40_000] {
            let from = f.logs.tail(key(1), 1, place, lines).unwrap();
            let heard = String::from_utf8(hear(&f.logs, key(1), place, from, 100_000).bytes(Stdout)).unwrap();
            assert_eq!(heard.lines().count(), lines.min(30_000));
            assert!(all.ends_with(&heard));
        }
    };
    check(None);
    let place = writer.seal().unwrap();
    check(Some(&place));
}

#[test]
fn tail_of_a_log_whose_last_line_is_open() {
    for (text, tails) in [
        ("a\nb", ["", "b", "a\nb"]),
        ("a\n\n", ["", "\n", "a\n\n"]),
        ("\n", ["", "\n", "\n"]),
        ("ab", ["", "ab", "ab"]),
    ] {
        let f = fixture(1 << 20, 1000);
        let mut writer = f.logs.writer(key(1), 1);
        for (n, byte) in text.bytes().enumerate() {
            writer.append(if n % 2 == 0 { Stdout } else { Stderr }, 0, &[byte]).unwrap();
        }
        let place = writer.seal().unwrap();
        for (lines, tail) in tails.into_iter().enumerate() {
            let from = f.logs.tail(key(1), 1, Some(&place), lines).unwrap();
            let heard: Vec<u8> =
                hear(&f.logs, key(1), Some(&place), from, 100).pieces.into_iter().flat_map(|p| p.unwrap().1).collect();
            assert_eq!(heard, tail.as_bytes(), "{lines} of {text:?}");
        }
    }
}

#[test]
fn a_cut_page_does_not_cut_a_character() {
    let f = fixture(1 << 20, 1000);
    let mut writer = f.logs.writer(key(1), 1);
    writer.append(Stdout, 0, "aé€𝄞".repeat(20).as_bytes()).unwrap();
    let place = writer.seal().unwrap();
    for max in 4..40 {
        let mut cursor = 0;
        loop {
            let page = f.logs.read(key(1), 1, Some(&place), cursor, max).unwrap();
            page.records.iter().for_each(|r| assert!(str::from_utf8(&r.bytes).is_ok(), "{max}"));
            cursor = page.next;
            if page.end {
                break;
            }
        }
    }
}

#[test]
fn the_zstd_tool_reads_a_sealed_log() {
    use crate::logs::frame::{BLOCK, Frames, Kind};
    let f = fixture(20 * BLOCK, 0);
    let mut writer = f.logs.writer(key(1), 1);
    writer.append(Stdout, 0, &pattern(0, 3_000_000)).unwrap();
    let place = writer.seal().unwrap();
    let expected = hear(&f.logs, key(1), Some(&place), 0, 1 << 20).bytes(Stdout);
    let path =
        f.logs.root().join(crate::logs::LogName { attempt: key(1), epoch: 1 }.path(crate::logs::name::Form::Sealed));
    assert_eq!(place, LogPlace::File { bytes: path.metadata().unwrap().len() });
    let payload = |plain: &[u8]| {
        let mut payload = Vec::new();
        for (n, block) in plain.chunks(BLOCK as usize).enumerate() {
            // The check knows where a block stood: 5 of the head, then the last 16.
            let base = if n < 5 { n as u64 } else { n as u64 + 46 - 21 } * BLOCK;
            for frame in Frames::new(block, base) {
                if let Kind::Output { bytes, .. } = frame.kind {
                    payload.extend_from_slice(bytes);
                }
            }
        }
        payload
    };
    let mut plain = Vec::new();
    zstd::stream::copy_decode(std::fs::File::open(&path).unwrap(), &mut plain).unwrap();
    assert!(payload(&plain) == expected);
    // Where the tool itself is installed, it says the same.
    if let Ok(tool) = std::process::Command::new("zstd").arg("-dc").arg(&path).output() {
        assert!(tool.status.success(), "{}", String::from_utf8_lossy(&tool.stderr));
        assert!(tool.stdout == plain);
    }
}
