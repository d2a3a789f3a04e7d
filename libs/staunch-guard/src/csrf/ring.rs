//! A session's five newest secrets: the bound is the size of the array.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::random::{NoRandom, Random};
use super::token::{Drawn, SECRET_BYTES, Secret, Token, words};
use super::verdict::Verdict;

/// Secrets a session holds at most (ground row G1). Tabs share the newest, so five outlive many more than five tabs.
pub const SLOTS: usize = 5;

/// Five secrets and when each was issued: 104 bytes, no heap. Made to be a field of a session's row, so that what ends the
/// session ends its tokens, in the same step.
///
/// Times are whole seconds on a clock that does not go back, since any moment; `ttl` is how many seconds a token lives, and
/// at that age it is dead. If the clock goes back nevertheless, nothing panics: what is issued counts as issued at the same
/// second as the token before it.
///
/// ```
/// use staunch_guard::csrf::{Ring, SystemRandom, Verdict};
/// const DAY: u32 = 24 * 60 * 60;
/// let mut ring = Ring::default();
/// let shown = ring.current(0, DAY, &SystemRandom)?;
/// let again = ring.current(60, DAY, &SystemRandom)?;
/// assert_ne!(shown, again); // masked anew
/// assert_eq!(ring.live(60, DAY), 1); // and yet the same secret
/// assert_eq!(ring.verify(shown.as_bytes(), 60, DAY), Verdict::Valid);
/// assert_eq!(ring.verify(shown.as_bytes(), DAY, DAY), Verdict::Expired);
/// # Ok::<(), staunch_guard::csrf::NoRandom>(())
/// ```
///
/// Sources: synchroniser tokens of the OWASP CSRF prevention cheat sheet; the masks are what Rails and Django do.
#[derive(Default)]
pub struct Ring {
    secrets: [[u8; SECRET_BYTES]; SLOTS],
    issued: [u32; SLOTS],
    /// The slot of the newest, if any is used.
    newest: u8,
    /// Slots used: the first so many.
    used: u8,
}

impl Ring {
    /// Takes a slot for a new secret and gives it out. The slot is an unused one if there is one, else that of the oldest
    /// by issue, which is an expired one if there is one: all live equally long.
    ///
    /// # Errors
    /// [`NoRandom`]; the ring is as before.
    pub fn issue(&mut self, now: u32, random: &impl Random) -> Result<Token, NoRandom> {
        Ok(self.put(now, &Drawn::new(random)?))
    }

    /// The newest secret, masked anew, while it is younger than half of `ttl`; else a new one. What a page shows: it stays
    /// good for half of `ttl` at least, and any number of tabs takes one slot.
    ///
    /// # Errors
    /// [`NoRandom`]; the ring is as before.
    pub fn current(&mut self, now: u32, ttl: u32, random: &impl Random) -> Result<Token, NoRandom> {
        let drawn = Drawn::new(random)?;
        Ok(self.reuse(now, ttl, &drawn).unwrap_or_else(|| self.put(now, &drawn)))
    }

    /// Looks for the secret of a token, as a client sent it, among those that are used and young enough. Takes equally long
    /// wherever it is found, and if it is not. Changes nothing.
    pub fn verify(&self, token: &[u8], now: u32, ttl: u32) -> Verdict {
        match Secret::unmasked(token) {
            Ok(secret) => self.verify_secret(&secret, now, ttl),
            Err(verdict) => verdict,
        }
    }

    /// Forgets and overwrites all secrets: at logout, and when the session's id or its user's password changes.
    pub fn clear(&mut self) {
        self.secrets.zeroize();
        self.issued = [0; SLOTS];
        self.newest = 0;
        self.used = 0;
    }

    /// How many secrets are live, 0 to 5.
    pub fn live(&self, now: u32, ttl: u32) -> usize {
        (0..SLOTS).filter(|slot| self.is_live(*slot, now, ttl)).count()
    }

    /// When the newest was issued; `None` if there is none.
    pub(super) fn newest_issued(&self) -> Option<u32> {
        (self.used > 0).then(|| self.issued[usize::from(self.newest)])
    }

    pub(super) fn put(&mut self, now: u32, drawn: &Drawn) -> Token {
        // In issue order the slots go round, so the next one is unused or the oldest.
        let slot = if self.used == 0 { 0 } else { (usize::from(self.newest) + 1) % SLOTS };
        let issued = self.newest_issued().unwrap_or(0).max(now);
        self.secrets[slot] = *drawn.secret().bytes();
        self.issued[slot] = issued;
        self.newest = slot as u8;
        self.used = self.used.max(slot as u8 + 1);
        drawn.token()
    }

    pub(super) fn reuse(&self, now: u32, ttl: u32, drawn: &Drawn) -> Option<Token> {
        let issued = self.newest_issued()?;
        let young = now.saturating_sub(issued) < ttl / 2;
        young.then(|| drawn.token_of(&Secret::new(self.secrets[usize::from(self.newest)])))
    }

    pub(super) fn verify_secret(&self, secret: &Secret, now: u32, ttl: u32) -> Verdict {
        let sought = secret.words();
        let (mut live, mut dead) = (0, 0);
        for slot in 0..SLOTS {
            let held = words(&self.secrets[slot]);
            // Secrets meet in this alone, which takes equally long whatever they are. What follows is of times and numbers,
            // which are no secret, and of whether they were equal, which is the answer.
            let different = (held[0] ^ sought[0]) | (held[1] ^ sought[1]);
            let same = different.ct_eq(&0).unwrap_u8();
            // An unused slot holds zeros, which a client can send: only the mask keeps it from matching.
            let used = u8::from(self.is_used(slot));
            let young = u8::from(now.saturating_sub(self.issued[slot]) < ttl);
            live |= same & used & young;
            dead |= same & used & (young ^ 1);
        }
        match (live == 1, dead == 1) {
            (true, _) => Verdict::Valid,
            (false, true) => Verdict::Expired,
            (false, false) => Verdict::Invalid,
        }
    }

    fn is_used(&self, slot: usize) -> bool {
        slot < usize::from(self.used)
    }

    fn is_live(&self, slot: usize, now: u32, ttl: u32) -> bool {
        self.is_used(slot) && now.saturating_sub(self.issued[slot]) < ttl
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("used", &self.used).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
