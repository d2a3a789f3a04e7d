//! A time, as people and programs read it.

use maud::{Markup, html};
use staunch_store::Timestamp;

/// In UTC to the second. The zone is said, since the server does not know the reader's.
pub(super) fn moment(at: Timestamp) -> Markup {
    let text = at.rfc3339();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    let time = time.get(..8).unwrap_or(time);
    html! { time datetime=(text) { (day) " " (time) " UTC" } }
}

/// How long something took.
pub(super) fn took(milliseconds: i64) -> String {
    let ms = milliseconds.max(0);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {:02} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_read_well() {
        let shown = moment(Timestamp(1_764_000_000_123)).into_string();
        assert_eq!(shown, "<time datetime=\"2025-11-24T16:00:00.123Z\">2025-11-24 16:00:00 UTC</time>");
        let texts = [-1, 0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 7_380_000].map(took);
        let expected =
            ["0 ms", "0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "2 h 03 min"];
        assert_eq!(texts, expected);
    }
}
