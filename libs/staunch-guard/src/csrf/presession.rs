//! The login form, which is shown to those who have no session yet.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip128::SipHasher24;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::caller::Tokens;
use super::random::{NoRandom, Random};
use super::token::words;
use super::verdict::Verdict;

/// Ten minutes: what a login form lives by default. A page that is older reloads.
pub const FORM_TTL_SECONDS: u32 = 10 * 60;
/// Characters of the cookie's value: 16 random bytes.
pub const COOKIE_CHARS: usize = 22;
/// Characters of the form's token: when it was made (4 bytes), a nonce (8) and the hash (16).
pub const FORM_TOKEN_CHARS: usize = 38;

const COOKIE_BYTES: usize = 16;
const SIGNED_BYTES: usize = 12;
const FORM_TOKEN_BYTES: usize = 28;

/// Makes and checks pairs of a cookie and a form's token, and remembers none of them, so that a flood of visitors costs no
/// memory. Against login CSRF, where somebody is made to log in as somebody else.
///
/// The token is a keyed hash (SipHash-2-4 with 128 bits of key and of output) of the cookie and the time. The cookie is to be
/// `__Host-`, `Secure`, `HttpOnly`, `SameSite=Lax`, `Path=/`, and to be deleted at login, when the session gets a new id and an
/// empty ring. An attacker may get pairs of his own; that he cannot plant the cookie is what `__Host-` is for.
///
/// ```
/// use staunch_guard::csrf::{PreSession, SystemRandom, Verdict};
/// let forms = PreSession::new(&SystemRandom)?;
/// let (cookie, token) = forms.issue(100, &SystemRandom)?;
/// assert_eq!(forms.verify(cookie.as_bytes(), token.as_bytes(), 699), Verdict::Valid);
/// assert_eq!(forms.verify(cookie.as_bytes(), token.as_bytes(), 700), Verdict::Expired);
/// // A second tab shows the form with the cookie there is.
/// let second = forms.token(cookie.as_bytes(), 200, &SystemRandom)?.unwrap();
/// assert_eq!(forms.verify(cookie.as_bytes(), second.as_bytes(), 300), Verdict::Valid);
/// # Ok::<(), staunch_guard::csrf::NoRandom>(())
/// ```
pub struct PreSession {
    keys: [u64; 2],
    ttl: u32,
}

impl PreSession {
    /// With a key of its own, and a life of ten minutes. Forms shown before a restart are void after it.
    ///
    /// # Errors
    /// [`NoRandom`]: fatal at start-up.
    pub fn new(random: &impl Random) -> Result<Self, NoRandom> {
        let mut key = [0; 16];
        random.fill(&mut key)?;
        let keys = words(&key);
        key.zeroize();
        Ok(Self { keys, ttl: FORM_TTL_SECONDS })
    }

    /// Another life of a form, in seconds.
    #[must_use]
    pub fn ttl_seconds(mut self, ttl: u32) -> Self {
        self.ttl = ttl;
        self
    }

    /// A new cookie's value and a token for a form that is shown with it. `now` is whole seconds since any moment.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub fn issue(&self, now: u32, random: &impl Random) -> Result<(String, String), NoRandom> {
        let mut cookie = [0; COOKIE_BYTES];
        random.fill(&mut cookie)?;
        Ok((URL_SAFE_NO_PAD.encode(cookie), self.signed(&cookie, now, random)?))
    }

    /// A token for another form that is shown with the cookie there is, so that two tabs do not take each other's cookie.
    /// `None` if it is not the form of a cookie of ours: then issue a new one. The cookie's age is not looked at; the browser
    /// drops it.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub fn token(&self, cookie: &[u8], now: u32, random: &impl Random) -> Result<Option<String>, NoRandom> {
        decoded::<COOKIE_BYTES, COOKIE_CHARS>(cookie).map(|cookie| self.signed(&cookie, now, random)).transpose()
    }

    /// Whether the token was made for a form shown with this cookie, less than a life ago. Constant in time once both have
    /// their form.
    pub fn verify(&self, cookie: &[u8], token: &[u8], now: u32) -> Verdict {
        if cookie.is_empty() || token.is_empty() {
            return Verdict::Missing;
        }
        let cookie = decoded::<COOKIE_BYTES, COOKIE_CHARS>(cookie);
        let token = decoded::<FORM_TOKEN_BYTES, FORM_TOKEN_CHARS>(token);
        let (Some(cookie), Some(token)) = (cookie, token) else { return Verdict::Malformed };
        let mut signed = [0; SIGNED_BYTES];
        signed.copy_from_slice(&token[..SIGNED_BYTES]);
        if !bool::from(self.hash(&cookie, &signed).ct_eq(&token[SIGNED_BYTES..])) {
            return Verdict::Invalid;
        }
        let [a, b, c, d, ..] = signed;
        let issued = u32::from_le_bytes([a, b, c, d]);
        if now.saturating_sub(issued) < self.ttl { Verdict::Valid } else { Verdict::Expired }
    }

    fn signed(&self, cookie: &[u8; COOKIE_BYTES], now: u32, random: &impl Random) -> Result<String, NoRandom> {
        let mut token = [0; FORM_TOKEN_BYTES];
        token[..4].copy_from_slice(&now.to_le_bytes());
        // The nonce is for BREACH: no two pages repeat a hash.
        random.fill(&mut token[4..SIGNED_BYTES])?;
        let mut signed = [0; SIGNED_BYTES];
        signed.copy_from_slice(&token[..SIGNED_BYTES]);
        token[SIGNED_BYTES..].copy_from_slice(&self.hash(cookie, &signed));
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// Both parts have a fixed length, so there is no boundary to be moved.
    fn hash(&self, cookie: &[u8; COOKIE_BYTES], signed: &[u8; SIGNED_BYTES]) -> [u8; 16] {
        let mut message = [0; COOKIE_BYTES + SIGNED_BYTES];
        message[..COOKIE_BYTES].copy_from_slice(cookie);
        message[COOKIE_BYTES..].copy_from_slice(signed);
        SipHasher24::new_with_keys(self.keys[0], self.keys[1]).hash(&message).as_bytes()
    }
}

/// So that a layer can guard the login route: its session is the cookie's value.
impl Tokens for PreSession {
    type Session = bytes::Bytes;

    fn verify(&self, session: &bytes::Bytes, token: &[u8], now: u32) -> Verdict {
        Self::verify(self, session, token, now)
    }
}

impl fmt::Debug for PreSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreSession").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl Drop for PreSession {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

/// Exactly `N` bytes written in their one form of `CHARS` characters.
fn decoded<const N: usize, const CHARS: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != CHARS {
        return None;
    }
    // Room for the largest of them in whole groups.
    let mut plain = [0; FORM_TOKEN_BYTES + 4];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut plain) {
        Ok(length) if length == N => Some(std::array::from_fn(|i| plain[i])),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
