//! What stands for a secret. None of it is ever shown.

use std::fmt;

/// SHA-256 of a secret with at least 128 bits of chance in it: a session's cookie, an API token, a set-up ticket. Whoever reads the
/// database cannot make the secret from it. `Debug` shows nothing of it, since it is what lookups are made with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// A hashed password as a PHC string, `$argon2id$v=19$...`. The store does not look into it. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl Fingerprint {
    /// The fingerprint of a secret.
    pub fn of(secret: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(secret).into())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

impl PasswordHash {
    /// Takes a PHC string. At most 512 bytes are remembered; a longer one is refused when it is.
    pub fn new(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// The PHC string, to verify a password with.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}
