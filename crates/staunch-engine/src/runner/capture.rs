//! The head and tail of a stream, for the result, under a charge.

use std::sync::Arc;

use staunch_bounded::{Budget, ByteRing, Charge};

use super::exit::Captured;

/// Below this a capture is not worth its marker; it then keeps nothing and only counts.
const BYTES_MIN: usize = 1 << 10;

/// Takes in a stream of any length; keeps at most what its charge pays for.
pub(super) struct Capture {
    ring: Option<(ByteRing, Option<Charge>)>,
    bytes_max: usize,
    total: u64,
}

impl Capture {
    /// Empty, and free until the first byte. `bytes_max` is split evenly between head and tail.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { ring: None, bytes_max, total: 0 }
    }

    /// Takes in the next bytes. A budget without room never fails a step: less is kept.
    pub(super) fn push(&mut self, bytes: &[u8], budget: &Arc<Budget>) {
        self.total += bytes.len() as u64;
        let (ring, _) = self.ring.get_or_insert_with(|| {
            let mut size = self.bytes_max;
            loop {
                if size < BYTES_MIN {
                    return (ByteRing::new(0, 0), None);
                }
                if let Ok(charge) = budget.try_reserve(size as u64) {
                    return (ByteRing::new(size / 2, size / 2), Some(charge));
                }
                size /= 2;
            }
        });
        ring.push(bytes);
    }

    /// As text of at most `bytes_max` bytes and a marker.
    pub(super) fn finish(self) -> Captured {
        let Some((ring, mut charge)) = self.ring else {
            return Captured::default();
        };
        let tail: Vec<u8> = ring.tail().collect();
        let lost = ring.lost();
        let (text, truncated) = if lost == 0 {
            // No cut between them: a character may span the two.
            let whole = [ring.head(), &tail].concat();
            whole_text(&whole, self.bytes_max)
        } else {
            (cut_text(ring.head(), lost, &tail, self.bytes_max / 2), true)
        };
        // What replaced invalid bytes may be longer than they were; the text is cut to what is paid.
        if let Some(charge) = &mut charge {
            charge.shrink_to(text.len() as u64);
        }
        Captured { text, truncated, bytes_total: self.total, charge }
    }
}

/// The whole stream; if the replacements of invalid bytes blow it up beyond `bytes_max`, its head and tail.
fn whole_text(bytes: &[u8], bytes_max: usize) -> (String, bool) {
    let text = String::from_utf8_lossy(bytes);
    if text.len() <= bytes_max {
        return (text.into_owned(), false);
    }
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    (cut_text(head, 0, tail, bytes_max / 2), true)
}

/// Head, marker, tail: each at most `half` bytes, cut between characters. `lost` bytes stood between them.
fn cut_text(head: &[u8], lost: u64, tail: &[u8], half: usize) -> String {
    let mut first = without_begun(head);
    if String::from_utf8_lossy(first).len() > half {
        // An invalid byte becomes a character of three, so a third always fits.
        first = without_begun(&head[..half / 3]);
    }
    let mut last = without_ended(tail);
    if String::from_utf8_lossy(last).len() > half {
        last = without_ended(&tail[tail.len() - half / 3..]);
    }
    let lost = lost + (head.len() - first.len() + tail.len() - last.len()) as u64;
    let newline = if first.is_empty() || first.ends_with(b"\n") { "" } else { "\n" };
    let (first, last) = (String::from_utf8_lossy(first), String::from_utf8_lossy(last));
    format!("{first}{newline}[... {lost} bytes left out ...]\n{last}")
}

/// Without a character at the end of which the cut left only the beginning.
fn without_begun(bytes: &[u8]) -> &[u8] {
    for back in 1..=bytes.len().min(3) {
        let at = bytes.len() - back;
        let needs = match bytes[at] {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return bytes,
        };
        return if needs > back { &bytes[..at] } else { bytes };
    }
    bytes
}

/// Without a character at the start of which the cut left only the end.
fn without_ended(bytes: &[u8]) -> &[u8] {
    let strays = bytes.iter().take(3).take_while(|byte| (0x80..=0xbf).contains(*byte)).count();
    &bytes[strays..]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn captured(bytes_max: usize, budget: &Arc<Budget>, chunks: &[&[u8]]) -> Captured {
        let mut capture = Capture::new(bytes_max);
        chunks.iter().for_each(|chunk| capture.push(chunk, budget));
        capture.finish()
    }

    #[test]
    fn below_at_and_over_the_bound_then_back_to_zero() {
        let budget = Budget::root("captures", 1 << 20);
        for (length, truncated) in [(0, false), (4_095, false), (4_096, false), (4_097, true), (1 << 20, true)] {
            let bytes = vec![b'x'; length];
            let got = captured(4_096, &budget, &[&bytes]);
            assert_eq!((got.truncated, got.bytes_total), (truncated, length as u64));
            // The marker's few bytes are not paid for.
            assert_eq!(
                budget.used(),
                got.text.len().min(4_096) as u64,
                "only the text is paid for once it is finished"
            );
            if truncated {
                assert!(got.text.contains(&format!("\n[... {} bytes left out ...]\n", length - 4_096)));
                assert_eq!(got.text.bytes().filter(|byte| *byte == b'x').count(), 4_096);
            } else {
                assert_eq!(got.text.len(), length);
            }
            drop(got);
            assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn a_budget_without_room_keeps_less_and_never_fails() {
        let budget = Budget::root("captures", 5_000);
        let hog = budget.try_reserve(3_000).unwrap();
        let got = captured(8_192, &budget, &[&[b'a'; 10_000]]);
        assert!(got.truncated && got.text.len() < 2_000, "8192 and 4096 do not fit into 2000, 1024 does");
        drop(got);
        let all = budget.try_reserve(2_000).unwrap();
        let got = captured(8_192, &budget, &[b"hello"]);
        assert_eq!(got.text, "[... 5 bytes left out ...]\n");
        assert!(got.truncated && got.bytes_total == 5 && got.charge.is_none());
        drop((hog, all));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let budget = Budget::root("captures", 1 << 20);
        for shift in 0..4 {
            let text = format!("{}{}", "s".repeat(shift), "\u{1f6e0}".repeat(2_000));
            let got = captured(1_026, &budget, &[text.as_bytes()]);
            assert!(got.truncated && !got.text.contains(char::REPLACEMENT_CHARACTER), "shift {shift}");
            let kept = got.text.len() - got.text.lines().find(|line| line.starts_with("[...")).unwrap().len() - 2;
            assert!(kept <= 1_026);
            assert!(got.text.contains(&format!("[... {} bytes", text.len() - kept)), "shift {shift}: {}", got.text);
        }
    }

    #[test]
    fn invalid_bytes_are_replaced_and_stay_within_what_is_paid() {
        let budget = Budget::root("captures", 4_096);
        let got = captured(4_096, &budget, &[&[0xff; 4_096]]);
        assert!(got.truncated, "three bytes stand for one");
        assert!(got.text.len() <= 4_096 + 64 && got.text.starts_with('\u{fffd}'));
        let small = captured(64, &Budget::root("captures", 4_096), &[b"a\xffb"]);
        assert!(small.truncated, "below the least size nothing is kept");
        let fine = captured(2_048, &Budget::root("captures", 4_096), &[b"a\xff", b"b\xc3", b"\xa4"]);
        assert_eq!((fine.text.as_str(), fine.truncated), ("a\u{fffd}b\u{e4}", false));
    }
}
