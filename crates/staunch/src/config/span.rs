//! Lengths of time as people write them.

use std::time::Duration;

/// A length of time as [`crate::render::parse_duration`] reads it, in the largest unit that it is a whole number of.
pub(super) fn written(length: Duration) -> String {
    let millis = length.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let fits = units.iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{millis}ms"), |(unit, letter)| format!("{}{letter}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn a_length_is_read_back_as_it_is_written() {
        for text in ["12h", "90m", "30s", "1500ms", "366d", "0ms"] {
            assert_eq!(written(crate::render::parse_duration(text).expect(text)), text);
        }
    }
}
