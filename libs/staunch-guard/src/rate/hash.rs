//! A key, and the keyed hash that stands for it.

use std::fmt;

use crate::client::Network;

/// Whose requests are counted together. Only its keyed hash is kept.
///
/// Everything in a key must be established before it is used: an address by [`crate::Proxies`], a name by authentication.
/// A key that the client may choose freely is a new bucket for each request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// A client by its network.
    Network(Network),
    /// An account, a token's identifier, a tenant: any bytes.
    Bytes(&'a [u8]),
}

/// The name of somebody does not belong into a log.
impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => f.debug_tuple("Network").field(network).finish(),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
        }
    }
}

/// SipHash-1-3 with 128 bits of output (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012, and its 128-bit
/// variant of 2014) under a random key. Nobody without the key can aim at a set or find two keys that collide.
///
/// Written out here because an address fits into one or two words: no buffer, no loop over bytes. A test compares it with
/// the `siphasher` crate.
#[derive(Clone, Copy)]
pub(crate) struct Hasher {
    key: [u64; 2],
}

/// The last byte of each message says what the rest is, so that no two kinds of key have the same message.
const V4: u8 = 4;
const BYTES: u8 = 0;

impl Hasher {
    /// A hasher under this key.
    pub(crate) fn new(key: [u64; 2]) -> Self {
        Self { key }
    }

    /// 128 bits: the first word chooses the set, the second is the tag.
    #[inline]
    pub(crate) fn hash(self, key: &Key<'_>) -> [u64; 2] {
        match *key {
            Key::Network(Network::V4(bits)) => self.words(&[last(u64::from(bits) | u64::from(V4) << 32, 5)]),
            Key::Network(Network::V6 { bits, prefix }) => self.words(&[bits, last(u64::from(prefix), 9)]),
            Key::Bytes(bytes) => self.bytes(bytes),
        }
    }

    #[inline]
    fn words(self, words: &[u64]) -> [u64; 2] {
        let mut state = self.start();
        for word in words {
            compress(&mut state, *word);
        }
        finish(&mut state)
    }

    /// `bytes` and then the byte that says so.
    fn bytes(self, bytes: &[u8]) -> [u64; 2] {
        let mut state = self.start();
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            compress(&mut state, u64::from_le_bytes(*word));
        }
        let mut tail = [0; 8];
        tail[..rest.len()].copy_from_slice(rest);
        // At most seven bytes are left, so the kind fits; if it is the eighth, the length stands in a word of its own.
        tail[rest.len()] = BYTES;
        let length = bytes.len().wrapping_add(1);
        if rest.len() == 7 {
            compress(&mut state, u64::from_le_bytes(tail));
            tail = [0; 8];
        }
        compress(&mut state, last(u64::from_le_bytes(tail), length));
        finish(&mut state)
    }

    #[inline]
    fn start(self) -> [u64; 4] {
        let [k0, k1] = self.key;
        [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ]
    }
}

/// The last word has the length in its highest byte.
#[inline]
fn last(word: u64, length: usize) -> u64 {
    word | (length as u64) << 56
}

#[inline]
fn compress(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    state[0] ^= word;
}

#[inline]
fn finish(state: &mut [u64; 4]) -> [u64; 2] {
    state[2] ^= 0xee;
    let first = squeeze(state);
    state[1] ^= 0xdd;
    [first, squeeze(state)]
}

#[inline]
fn squeeze(state: &mut [u64; 4]) -> u64 {
    for _ in 0..3 {
        round(state);
    }
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

#[inline]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher as _;

    use siphasher::sip128::{Hasher128, SipHasher13};

    use super::*;

    fn reference(key: [u64; 2], message: &[u8]) -> [u64; 2] {
        let mut hasher = SipHasher13::new_with_keys(key[0], key[1]);
        hasher.write(message);
        let hash = hasher.finish128();
        [hash.h1, hash.h2]
    }

    #[test]
    fn it_is_siphash() {
        for seed in 0..200_u64 {
            let key = [seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), !seed];
            let hasher = Hasher::new(key);
            let bits = (seed as u32).wrapping_mul(0x0101_4567);
            let v4 = [bits.to_le_bytes().as_slice(), &[4]].concat();
            assert_eq!(hasher.hash(&Key::Network(Network::V4(bits))), reference(key, &v4));
            for prefix in [48, 64] {
                let v6 = [seed.to_le_bytes().as_slice(), &[prefix]].concat();
                assert_eq!(hasher.hash(&Key::Network(Network::V6 { bits: seed, prefix })), reference(key, &v6));
            }
            let name: Vec<u8> = (0..seed).map(|i| (i * 7) as u8).collect();
            let message = [name.as_slice(), &[0]].concat();
            assert_eq!(hasher.hash(&Key::Bytes(&name)), reference(key, &message), "{} bytes", name.len());
        }
    }

    #[test]
    fn kinds_and_keys_part() {
        let hasher = Hasher::new([1, 2]);
        let keys = [
            Key::Network(Network::V4(0)),
            Key::Network(Network::V6 { bits: 0, prefix: 48 }),
            Key::Network(Network::V6 { bits: 0, prefix: 64 }),
            Key::Bytes(&[0; 4]),
            Key::Bytes(&[0; 8]),
            Key::Bytes(&[]),
        ];
        let hashes: std::collections::HashSet<_> = keys.iter().map(|key| hasher.hash(key)).collect();
        assert_eq!(hashes.len(), keys.len());
        assert_ne!(hasher.hash(&keys[0]), Hasher::new([1, 3]).hash(&keys[0]));
    }

    #[test]
    fn a_name_is_not_shown() {
        assert_eq!(format!("{:?}", Key::Bytes(b"alice")), "Bytes(5)");
    }
}
