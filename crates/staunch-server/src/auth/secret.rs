//! Ids of sessions and set-up tickets: 256 bits of chance in 43 characters.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use staunch_bounded::fault_point;
use staunch_guard::csrf::{Random, SystemRandom};
use staunch_store::Fingerprint;
use zeroize::Zeroizing;

use crate::problem::Refusal;

const BYTES: usize = 32;
const CHARS: usize = 43;

/// What a cookie or a set-up link carries. Only its fingerprint is remembered.
pub(crate) struct Ticket(Zeroizing<String>);

impl Ticket {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, Refusal> {
        fault_point!("server.random").map_err(Refusal::internal)?;
        let mut bytes = Zeroizing::new([0; BYTES]);
        SystemRandom.fill(bytes.as_mut_slice()).map_err(Refusal::internal)?;
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))))
    }

    /// Its text.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What is remembered of it.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes())
    }
}

/// The fingerprint of what a client sent; `None` if it has not the form, so that nothing is asked for it.
pub(crate) fn fingerprint(text: &str) -> Option<Fingerprint> {
    let formed = text.len() == CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    formed.then(|| Fingerprint::of(text.as_bytes()))
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn tickets_differ_have_the_form_and_show_nothing() {
        let (a, b) = (Ticket::generate().unwrap(), Ticket::generate().unwrap());
        assert_ne!(a.expose(), b.expose());
        assert_eq!(fingerprint(a.expose()), Some(a.fingerprint()));
        assert_eq!(format!("{a:?}"), "Ticket(..)");
        let long = "a".repeat(44);
        for bad in ["", "a", long.as_str(), &format!("{}=", &long[..42]), &format!("{} ", &long[..42])] {
            assert_eq!(fingerprint(bad), None, "{bad:?}");
        }
    }
}
