//! Rates as people write them: `5/1m` is five in a minute, all at once if need be.

use std::time::Duration;

use staunch_guard::Quota;

use crate::render::parse_duration;

/// Reads a rate: how many, a slash, and in how long.
pub(super) fn parse(text: &str) -> Result<Quota, String> {
    let wrong = || format!("`{text}` is not a rate: write how many and in how long, such as 5/1m or 100/15m");
    let (count, window) = text.split_once('/').ok_or_else(wrong)?;
    let count: u32 = count.trim().replace('_', "").parse().map_err(|_| wrong())?;
    let window = parse_duration(window).map_err(|_| wrong())?;
    Quota::new(count, window).map_err(|error| format!("`{text}`: {error}"))
}

/// A rate as [`parse`] reads it.
pub(super) fn written(quota: &Quota) -> String {
    format!("{}/{}", quota.count(), duration(quota.window()))
}

/// A duration as [`parse_duration`] reads it, in the largest unit that it is a whole number of.
pub(super) fn duration(length: Duration) -> String {
    let millis = length.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let fits = units.iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{millis}ms"), |(unit, letter)| format!("{}{letter}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_and_written_the_same() {
        for text in ["5/1m", "20/15m", "3/1h", "6000/1m", "1/1d", "10/1500ms", "7/90s"] {
            assert_eq!(written(&parse(text).expect(text)), text);
        }
        assert_eq!(written(&parse("1_000 / 60s").expect("a rate")), "1000/1m");
        assert_eq!(parse("5/1m").expect("a rate").worst_case_in_window(), 9);
    }

    #[test]
    fn what_is_no_rate_is_said_with_an_example() {
        for text in ["", "5", "5/", "/1m", "5 per minute", "-1/1m", "4294967296/1m", "5/1m/2", "5/soon"] {
            let why = parse(text).expect_err(text);
            assert!(why.contains("such as 5/1m"), "{why}");
        }
        assert!(parse("0/1m").expect_err("refused").contains("at least 1 request"));
        assert!(parse("5/0s").expect_err("refused").contains("at least 1 ms"));
        assert!(parse("5/100000d").expect_err("refused").contains("146 years"));
    }
}
