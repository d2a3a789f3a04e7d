//! A token: a session's secret under a mask, as a page carries it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize, Zeroizing};

use super::random::{NoRandom, Random};
use super::verdict::Verdict;

/// Bytes of a secret: 128 bits, twice what OWASP asks of a session id. Five live secrets are guessed at odds of 5 in 2^128.
pub(super) const SECRET_BYTES: usize = 16;
/// Bytes of a token before it is written: the mask, and the secret under it.
const MASKED_BYTES: usize = 2 * SECRET_BYTES;
/// Characters of a token.
pub const TOKEN_CHARS: usize = 43;

/// A token for a form or a header: base64url without padding of `mask ‖ mask xor secret`, 43 characters.
///
/// The mask is new each time, so that a compressed page does not give the secret away (BREACH,
/// [CVE-2013-3587](https://nvd.nist.gov/vuln/detail/CVE-2013-3587)). `Debug` shows nothing and dropping it overwrites it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; TOKEN_CHARS]);

/// What a token hides. Overwritten when dropped.
pub(super) struct Secret([u8; SECRET_BYTES]);

/// Randomness for one token, drawn before any lock is taken.
pub(super) struct Drawn {
    secret: Secret,
    mask: [u8; SECRET_BYTES],
}

impl Token {
    /// The 43 characters.
    pub fn as_str(&self) -> &str {
        // What base64 writes is ASCII, so the empty text stands for nothing that happens.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The 43 characters as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn masked(secret: &Secret, mask: &[u8; SECRET_BYTES]) -> Self {
        let mut plain = Zeroizing::new([0; MASKED_BYTES]);
        for (i, (mask, secret)) in mask.iter().zip(&secret.0).enumerate() {
            plain[i] = *mask;
            plain[SECRET_BYTES + i] = mask ^ secret;
        }
        let mut written = [0; TOKEN_CHARS];
        // 32 bytes are 43 characters, so it always fits; all zero characters would be no token, and never verify.
        let _fits = URL_SAFE_NO_PAD.encode_slice(plain.as_slice(), &mut written);
        Self(written)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Secret {
    pub(super) fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// The secret as two words, which are compared faster than sixteen bytes.
    pub(super) fn words(&self) -> [u64; 2] {
        words(&self.0)
    }

    /// Reads what a client sent. Exactly one text is accepted for each mask and secret: 43 characters of the URL-safe
    /// alphabet, no padding, unused bits zero.
    ///
    /// # Errors
    /// `Missing` if it is empty, `Malformed` if it is anything else. The length is looked at first: nothing is read of a
    /// text that is too long.
    pub(super) fn unmasked(text: &[u8]) -> Result<Self, Verdict> {
        if text.is_empty() {
            return Err(Verdict::Missing);
        }
        if text.len() != TOKEN_CHARS {
            return Err(Verdict::Malformed);
        }
        // The decoder wants room for whole groups of four characters.
        let mut plain = Zeroizing::new([0; MASKED_BYTES + 4]);
        match URL_SAFE_NO_PAD.decode_slice(text, plain.as_mut_slice()) {
            Ok(MASKED_BYTES) => {}
            _ => return Err(Verdict::Malformed),
        }
        Ok(Self(std::array::from_fn(|i| plain[i] ^ plain[SECRET_BYTES + i])))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Drawn {
    /// A secret and a mask.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub(super) fn new(random: &impl Random) -> Result<Self, NoRandom> {
        let mut bytes = Zeroizing::new([0; MASKED_BYTES]);
        random.fill(bytes.as_mut_slice())?;
        let secret = Secret(std::array::from_fn(|i| bytes[i]));
        Ok(Self { secret, mask: std::array::from_fn(|i| bytes[SECRET_BYTES + i]) })
    }

    /// The secret, to be kept.
    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The drawn secret under the drawn mask.
    pub(super) fn token(&self) -> Token {
        Token::masked(&self.secret, &self.mask)
    }

    /// Another secret under the drawn mask.
    pub(super) fn token_of(&self, secret: &Secret) -> Token {
        Token::masked(secret, &self.mask)
    }
}

/// Sixteen bytes as two words.
pub(super) fn words(bytes: &[u8; SECRET_BYTES]) -> [u64; 2] {
    let all = u128::from_le_bytes(*bytes);
    [all as u64, (all >> 64) as u64]
}

#[cfg(test)]
mod tests;
