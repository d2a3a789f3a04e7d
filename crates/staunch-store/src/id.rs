//! Names of things that are remembered.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use staunch_flow::StepIndex;
use uuid::Uuid;

/// A run: a UUID version 7, written `run_` and 26 characters of Crockford's base32 in lower case, so that ids sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub Uuid);

/// One life of a worker process: random at each start, never a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(pub Uuid);

/// A text of a workflow file: its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RevisionId(pub [u8; 32]);

/// Milliseconds since 1970 UTC, by the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// One attempt of a step in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepIndex,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// A text that is not the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a {kind} id")]
pub struct BadId {
    /// What it should be.
    pub kind: &'static str,
    /// What was given, at most 64 characters of it.
    pub given: String,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl RunId {
    /// A new one. Ids made later sort after ids made earlier, to the millisecond.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// 64 bits that depend on nothing but the id: the seed of the run's jitter.
    pub fn seed(self) -> u64 {
        self.0.as_u64_pair().1
    }
}

/// Writes an id: its prefix and 26 characters of base32, padded as the formatter says.
pub(crate) fn write_prefixed(prefix: &[u8; 4], id: Uuid, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let bits = id.as_u128();
    let mut text = [0u8; 30];
    text[..4].copy_from_slice(prefix);
    for (i, place) in text[4..].iter_mut().enumerate() {
        *place = ALPHABET[(bits >> (125 - 5 * i) & 31) as usize];
    }
    f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

/// Reads what [`write_prefixed`] wrote, in either case.
pub(crate) fn read_prefixed(prefix: &[u8; 4], kind: &'static str, text: &str) -> Result<Uuid, BadId> {
    let bad = || BadId { kind, given: text.chars().take(64).collect() };
    let digits = text.as_bytes().strip_prefix(prefix).filter(|d| d.len() == 26).ok_or_else(bad)?;
    let mut bits: u128 = 0;
    for (i, digit) in digits.iter().enumerate() {
        let value = ALPHABET.iter().position(|c| *c == digit.to_ascii_lowercase()).ok_or_else(bad)?;
        // 26 digits hold 130 bits: the first may only be 0..=7.
        if i == 0 && value > 7 {
            return Err(bad());
        }
        bits = bits << 5 | value as u128;
    }
    Ok(Uuid::from_u128(bits))
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_prefixed(b"run_", self.0, f)
    }
}

impl FromStr for RunId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        read_prefixed(b"run_", "run", text).map(Self)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Incarnation {
    /// A new one.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl RevisionId {
    /// The id of a text.
    pub fn of(text: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(text).into())
    }
}

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Timestamp {
    /// As RFC 3339 in UTC with milliseconds, `2026-11-23T16:41:18.123Z`.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0).map_or_else(|_| self.0.to_string(), |t| format!("{t:.3}"))
    }
}
