//! Text out of bytes that arrive in pieces: a character that is split between two pieces is not broken.

use staunch_store::logs::Stream;

/// The bytes of characters that are not complete yet, at most three a stream. It travels in cursors, so that the server
/// holds no state between two reads of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stitch {
    begun: [Begun; 2],
}

/// The first bytes of a character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Begun {
    bytes: [u8; 3],
    len: u8,
}

impl Begun {
    /// These bytes; `None` if they are not the beginning of one character.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let incomplete = bytes.is_empty()
            || (bytes.len() <= 3
                && std::str::from_utf8(bytes).is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none()));
        incomplete.then(|| {
            let mut begun = Self { bytes: [0; 3], len: bytes.len() as u8 };
            begun.bytes[..bytes.len()].copy_from_slice(bytes);
            begun
        })
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Stitch {
    /// As a cursor has it.
    pub(crate) fn new(stdout: Begun, stderr: Begun) -> Self {
        Self { begun: [stdout, stderr] }
    }

    /// What is begun on each stream.
    pub(crate) fn begun(&self) -> [Begun; 2] {
        self.begun
    }

    /// Decodes the next bytes of a stream onto `out`. What is not UTF-8 becomes U+FFFD, as `String::from_utf8_lossy` would have
    /// it for the whole stream.
    pub(crate) fn push(&mut self, stream: Stream, bytes: &[u8], out: &mut String) {
        let begun = std::mem::take(self.of(stream));
        if begun.len == 0 {
            *self.of(stream) = decode(bytes, out);
            return;
        }
        // The begun character needs at most three bytes more; decode those with it, then the rest.
        let mut seam = [0u8; 6];
        let kept = usize::from(begun.len);
        let more = bytes.len().min(3);
        seam[..kept].copy_from_slice(begun.bytes());
        seam[kept..kept + more].copy_from_slice(&bytes[..more]);
        let seam = &seam[..kept + more];
        let taken = match std::str::from_utf8(seam) {
            Ok(valid) => {
                out.push_str(valid);
                seam.len()
            }
            Err(error) if error.valid_up_to() > 0 => {
                let valid = &seam[..error.valid_up_to()];
                out.push_str(std::str::from_utf8(valid).unwrap_or_default());
                valid.len()
            }
            Err(error) => match error.error_len() {
                Some(len) => {
                    out.push(char::REPLACEMENT_CHARACTER);
                    len
                }
                // Still not complete, though all there is was looked at: fewer than four bytes in all.
                None => {
                    *self.of(stream) = Begun::new(seam).unwrap_or_default();
                    return;
                }
            },
        };
        *self.of(stream) = decode(&bytes[taken - kept..], out);
    }

    /// The stream goes on elsewhere, or ends: what was begun will never be complete.
    pub(crate) fn flush(&mut self, stream: Stream, out: &mut String) {
        if std::mem::take(self.of(stream)).len > 0 {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn of(&mut self, stream: Stream) -> &mut Begun {
        match stream {
            Stream::Stdout => &mut self.begun[0],
            Stream::Stderr => &mut self.begun[1],
        }
    }
}

/// Decodes onto `out` all but a character that is begun at the end.
fn decode(bytes: &[u8], out: &mut String) -> Begun {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        let invalid = chunk.invalid();
        if invalid.is_empty() {
            continue;
        }
        let last = std::ptr::eq(invalid.as_ptr_range().end, bytes.as_ptr_range().end);
        match Begun::new(invalid) {
            Some(begun) if last => return begun,
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Begun::default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(pieces: &[Vec<u8>]) -> String {
        let (mut stitch, mut out) = (Stitch::default(), String::new());
        for piece in pieces {
            stitch.push(Stream::Stdout, piece, &mut out);
        }
        stitch.flush(Stream::Stdout, &mut out);
        out
    }

    #[test]
    fn a_character_in_pieces_comes_out_whole() {
        let euro = "€".as_bytes();
        assert_eq!(whole(&[euro[..1].to_vec(), euro[1..2].to_vec(), euro[2..].to_vec()]), "€");
        let four = "🦀".as_bytes();
        assert_eq!(whole(&four.iter().map(|b| vec![*b]).collect::<Vec<_>>()), "🦀");
    }

    #[test]
    fn the_streams_do_not_mix() {
        let (mut stitch, mut out) = (Stitch::default(), String::new());
        stitch.push(Stream::Stdout, &"€".as_bytes()[..2], &mut out);
        stitch.push(Stream::Stderr, "ß".as_bytes(), &mut out);
        stitch.push(Stream::Stdout, &"€".as_bytes()[2..], &mut out);
        assert_eq!(out, "ß€");
    }

    proptest! {
        /// Wherever the stream is cut, the text is that of the whole.
        #[test]
        fn cuts_do_not_show(
            bytes in prop::collection::vec(prop_oneof![Just(0xe2u8), Just(0x82), Just(0xac), Just(0xf0), Just(0x9f), any::<u8>()], 0..64),
            cuts in prop::collection::vec(0usize..64, 0..16),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec()).collect();
            prop_assert_eq!(whole(&pieces), String::from_utf8_lossy(&bytes));
        }
    }
}
