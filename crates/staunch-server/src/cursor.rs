//! Places in logs, as opaque cursors.

use std::fmt;
use std::str::FromStr;

use crate::text::{Begun, Stitch};

/// A place in the log of a step: attempt, claim of it, place in its log, and the characters that are begun there.
/// Written `2.1.4096`, or `2.1.4096.e282.` with the first bytes of a character on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogCursor {
    /// Which attempt, from 1; 0 before any.
    pub(crate) attempt: u32,
    /// Which claim of it.
    pub(crate) epoch: u32,
    /// The store's cursor.
    pub(crate) at: u64,
    /// Characters in the making.
    pub(crate) stitch: Stitch,
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadCursor;

impl LogCursor {
    /// The start of the log of a claim.
    pub(crate) fn start(attempt: u32, epoch: u32) -> Self {
        Self { attempt, epoch, ..Self::default() }
    }
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.attempt, self.epoch, self.at)?;
        if self.stitch == Stitch::default() {
            return Ok(());
        }
        for begun in self.stitch.begun() {
            f.write_str(".")?;
            begun.bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

impl FromStr for LogCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(BadCursor);
        let attempt = number(next()?)?;
        let epoch = number(next()?)?;
        let at = number(next()?)?;
        let stitch = match parts.next() {
            None => Stitch::default(),
            Some(stdout) => Stitch::new(begun(stdout)?, begun(parts.next().ok_or(BadCursor)?)?),
        };
        if parts.next().is_some() {
            return Err(BadCursor);
        }
        Ok(Self { attempt, epoch, at, stitch })
    }
}

/// Digits only: `+1` and the like would be second spellings of one place.
pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, BadCursor> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadCursor);
    }
    text.parse().map_err(|_| BadCursor)
}

fn begun(hex: &str) -> Result<Begun, BadCursor> {
    if hex.len() > 6 || !hex.len().is_multiple_of(2) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(BadCursor);
    }
    let mut bytes = [0; 3];
    for (i, byte) in bytes.iter_mut().take(hex.len() / 2).enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).map_err(|_| BadCursor)?;
    }
    Begun::new(&bytes[..hex.len() / 2]).ok_or(BadCursor)
}

#[cfg(test)]
mod tests {
    use staunch_store::logs::Stream;

    use super::*;

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let mut cursor = LogCursor { attempt: 2, epoch: 1, at: u64::MAX, stitch: Stitch::default() };
        assert_eq!(cursor.to_string(), "2.1.18446744073709551615");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let mut out = String::new();
        cursor.stitch.push(Stream::Stderr, &"€".as_bytes()[..2], &mut out);
        assert_eq!(cursor.to_string(), "2.1.18446744073709551615..e282");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "1",
            "1.1",
            "1.1.",
            "a.1.1",
            "-1.1.1",
            "+1.1.1",
            "1.1.1.",
            "1.1.1.e282",
            "1.1.1.e282.x",
            "1.1.1.61.",
            "1.1.1.e2828282.",
            "1.1.1.e.",
            "1.1.1...",
            "4294967296.1.1",
            "1.1.18446744073709551616",
            "1.1.1.é.",
        ] {
            assert_eq!(bad.parse::<LogCursor>(), Err(BadCursor), "{bad:?}");
        }
    }
}
