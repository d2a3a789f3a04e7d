//! Makes a line of a step safe for a terminal: a step may write anything, also what would move the cursor, set the window's
//! title or hide text.

/// A line of output as it may be shown: invalid UTF-8 replaced; colors kept if `color`, all other control sequences and
/// control characters dropped. Of a line that was overwritten with carriage returns (a progress bar), its last state.
pub(super) fn clean(line: &[u8], color: bool) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let last = line.iter().rposition(|byte| *byte == b'\r').map_or(0, |at| at + 1);
    let text = String::from_utf8_lossy(&line[last..]);
    let mut shown = String::with_capacity(text.len());
    let mut painted = false;
    let mut rest = text.as_ref();
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\t') {
        shown.push_str(&rest[..at]);
        let (sequence, is_color, after) = sequence(&rest[at..]);
        if is_color && color {
            shown.push_str(sequence);
            painted = true;
        }
        rest = after;
    }
    shown.push_str(rest);
    if painted {
        // Else the colors of one step would run into the next line.
        shown.push_str("\x1b[0m");
    }
    shown
}

/// A text of somebody else's that is to stand in a table: no control characters.
pub(crate) fn plain(text: &str) -> String {
    clean(text.as_bytes(), false)
}

/// Splits off one control sequence (ECMA-48 §5.4, §8.3.89) or control character: itself, whether it only sets colors, and
/// what follows. `text` begins with a control character.
fn sequence(text: &str) -> (&str, bool, &str) {
    let bytes = text.as_bytes();
    let end = match bytes {
        [0x1b, b'[', ..] => {
            // Parameters, then intermediates, then one final byte.
            let length = bytes[2..].iter().take_while(|byte| (0x20..0x40).contains(*byte)).count();
            let end = 2 + length;
            end + usize::from(bytes.get(end).is_some_and(|byte| (0x40..0x7f).contains(byte)))
        }
        // A string up to BEL or ST: titles, links, clipboard.
        [0x1b, b']' | b'P' | b'X' | b'^' | b'_', ..] => bytes
            .iter()
            .position(|byte| *byte == 0x07)
            .map(|at| at + 1)
            .into_iter()
            .chain(text[2..].find("\x1b\\").map(|at| at + 4))
            .min()
            .unwrap_or(text.len()),
        [0x1b, 0x20..0x7f, ..] => 2,
        _ => text.chars().next().map_or(0, char::len_utf8),
    };
    let (sequence, after) = text.split_at(end);
    let is_color = sequence
        .strip_prefix("\x1b[")
        .and_then(|rest| rest.strip_suffix('m'))
        .is_some_and(|parameters| parameters.bytes().all(|byte| byte.is_ascii_digit() || byte == b';' || byte == b':'));
    (sequence, is_color, after)
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn colors_stay_if_wanted_and_end_with_the_line() {
        assert_eq!(clean(b"\x1b[31mred", true), "\x1b[31mred\x1b[0m");
        assert_eq!(clean(b"\x1b[31mred\x1b[0m", false), "red");
    }

    #[test]
    fn nothing_moves_the_cursor_or_talks_to_the_terminal() {
        for color in [true, false] {
            assert_eq!(clean(b"a\x1b[2J\x1b[1;1Hb", color), "ab");
            assert_eq!(clean(b"a\x1b]0;title\x07b\x1b]8;;x\x1b\\c", color), "abc");
            assert_eq!(clean(b"a\x08\x00b\x7f\tc", color), "ab\tc");
            assert_eq!(clean(b"\x1b[?25lhidden\x1bc", color), "hidden");
            assert_eq!(clean("a\u{9b}31mb".as_bytes(), color), "a31mb");
            assert_eq!(clean(b"cut \x1b[3", color), "cut ");
            assert_eq!(clean(b"cut \x1b]0;never ends", color), "cut ");
            assert_eq!(clean(b"\x1b", color), "");
            assert_eq!(clean("\x1bé".as_bytes(), color), "é");
        }
    }

    #[test]
    fn a_progress_bar_shows_its_last_state_and_bad_bytes_are_replaced() {
        assert_eq!(clean(b" 10%\r 50%\r100%", false), "100%");
        assert_eq!(clean(b"dos line\r", false), "dos line");
        assert_eq!(clean(b"a\xffb", false), "a\u{fffd}b");
    }
}
