//! Durations and sizes as people read and write them.

use std::time::Duration;

/// A duration: `0 ms`, `350 ms`, `1.2 s`, `2 min 5 s`, `1 h 3 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{ms} ms"),
        1..=59 => format!("{}.{} s", seconds, ms % 1000 / 100),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A size: `512 B`, `12.3 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths = tenths.div_ceil(1024);
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

/// How long ago an RFC 3339 time is, at `now`: `just now`, `5 min ago`, `3 d ago`; the time itself if it cannot be read.
pub(crate) fn ago(time: &str, now: jiff::Timestamp) -> String {
    let Ok(then) = time.parse::<jiff::Timestamp>() else { return time.to_owned() };
    let seconds = now.as_second().saturating_sub(then.as_second());
    match seconds {
        ..=4 => "just now".to_owned(),
        5..=99 => format!("{seconds} s ago"),
        100..=5_999 => format!("{} min ago", seconds / 60),
        6_000..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// Reads a duration such as `500ms`, `90s`, `1h30m`, `2d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as 90s or 1h30m");
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let after = rest[digits..].trim_start();
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit_ms = match &after[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = number.checked_mul(unit_ms).map(Duration::from_millis);
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = after[letters..].trim_start();
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1 h 3 min"), Ok(Duration::from_secs(3780)));
        for wrong in ["", "5", "s", "1.5s", "-1s", "1y", "99999999999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        let shown = |ms| duration(Duration::from_millis(ms));
        assert_eq!([shown(0), shown(999), shown(1_250)], ["0 ms", "999 ms", "1.2 s"]);
        assert_eq!([shown(125_000), shown(3_780_000)], ["2 min 5 s", "1 h 3 min"]);
    }

    #[test]
    fn sizes_are_written() {
        assert_eq!([bytes(0), bytes(1023), bytes(1024)], ["0 B", "1023 B", "1.0 KiB"]);
        assert_eq!([bytes(5 << 20), bytes(u64::MAX)], ["5.0 MiB", "16777216.0 TiB"]);
    }

    #[test]
    fn times_are_said_from_now() {
        let now: jiff::Timestamp = "2026-11-23T12:00:00Z".parse().expect("a time");
        assert_eq!(ago("2026-11-23T11:59:58.500Z", now), "just now");
        assert_eq!(ago("2026-11-23T11:58:30.000Z", now), "90 s ago");
        assert_eq!(ago("2026-11-20T12:00:00.000Z", now), "3 d ago");
        assert_eq!(ago("2026-11-23T13:00:00.000Z", now), "just now");
        assert_eq!(ago("yesterday", now), "yesterday");
    }
}
