//! API tokens in writing: `stn_`, 30 characters of chance, 6 of a checksum.

use std::fmt;

use staunch_bounded::fault_point;
use staunch_guard::csrf::{Random, SystemRandom};
use staunch_store::Fingerprint;
use zeroize::Zeroizing;

use crate::problem::Refusal;

const PREFIX: &str = "stn_";
/// 62^30 is 178 bits.
const CHANCE_CHARS: usize = 30;
/// 62^6 is more than 2^32.
const SUM_CHARS: usize = 6;
const CHARS: usize = PREFIX.len() + CHANCE_CHARS + SUM_CHARS;
/// The prefix and four characters: 24 bits of 178, by which people tell tokens apart.
const SHOWN_CHARS: usize = PREFIX.len() + 4;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token. Only its fingerprint is remembered.
pub(crate) struct ApiToken(Zeroizing<String>);

impl ApiToken {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, Refusal> {
        let mut text = Zeroizing::new(String::with_capacity(CHARS));
        text.push_str(PREFIX);
        let mut bytes = Zeroizing::new([0; 64]);
        fault_point!("server.random").map_err(Refusal::internal)?;
        while text.len() < PREFIX.len() + CHANCE_CHARS {
            SystemRandom.fill(bytes.as_mut_slice()).map_err(Refusal::internal)?;
            // 248 is the largest multiple of 62 in a byte: what is above would make some characters likelier.
            let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| DIGITS[usize::from(byte % 62)]);
            let left = PREFIX.len() + CHANCE_CHARS - text.len();
            text.extend(fair.take(left).map(char::from));
        }
        let sum = checksum(&text);
        text.push_str(&sum);
        Ok(Self(text))
    }

    /// Its text.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What lists show of it.
    pub(crate) fn shown(&self) -> &str {
        &self.0[..SHOWN_CHARS]
    }

    /// What is remembered of it.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes())
    }
}

/// The fingerprint of what a client sent; `None` if it was mistyped, so that nothing is asked for it.
pub(crate) fn fingerprint(text: &str) -> Option<Fingerprint> {
    let digits = text.strip_prefix(PREFIX)?;
    let formed = text.len() == CHARS && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let fits = formed && checksum(&text[..CHARS - SUM_CHARS]) == text[CHARS - SUM_CHARS..];
    fits.then(|| Fingerprint::of(text.as_bytes()))
}

/// CRC-32 in six digits. No secret: it tells a typing mistake, and lets scanners for leaked secrets know one.
fn checksum(text: &str) -> String {
    let mut rest = crc32(text.as_bytes());
    let mut digits = [DIGITS[0]; SUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

/// CRC-32 as in ISO 3309, reflected; bit by bit, since it is for 34 bytes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(..)")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn a_token_has_its_form_and_a_mistake_is_seen() {
        let token = ApiToken::generate().unwrap();
        let text = token.expose();
        assert_eq!((text.len(), text.starts_with("stn_"), token.shown().len()), (40, true, 8));
        assert_eq!(fingerprint(text), Some(token.fingerprint()));
        assert_eq!(format!("{token:?}"), "ApiToken(..)");
        for at in 4..40 {
            let mut other = text.as_bytes().to_vec();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(fingerprint(std::str::from_utf8(&other).unwrap()), None, "at {at}");
        }
        for bad in ["", "stn_", &text[..39], &format!("{text}0"), &text.to_ascii_uppercase()] {
            assert_eq!(fingerprint(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn all_characters_occur() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            seen.extend(ApiToken::generate().unwrap().expose()[4..34].bytes());
        }
        assert_eq!(seen.len(), 62);
    }
}
