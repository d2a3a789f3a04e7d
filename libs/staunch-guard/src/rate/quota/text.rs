//! A quota in writing: `5/1m`, as a configuration has it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Quota, QuotaError};

/// What is no quota in writing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaTextError {
    /// Not of the form.
    #[error("{0:?} is no quota: write requests and a window, such as 5/1m (units: ms, s, m, h, d)")]
    Form(String),
    /// Of the form, and out of bounds.
    #[error("{text:?}: {source}")]
    Bounds {
        /// What was written.
        text: String,
        /// Why not.
        source: QuotaError,
    },
}

/// Units, the largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Characters of what is quoted back.
const QUOTED_CHARS_MAX: usize = 60;

/// ```
/// use staunch_guard::Quota;
/// let login: Quota = "5/1m".parse().unwrap();
/// assert_eq!((login.count(), login.window().as_secs(), login.to_string().as_str()), (5, 60, "5/1m"));
/// assert!("5 a minute".parse::<Quota>().is_err());
/// ```
impl FromStr for Quota {
    type Err = QuotaTextError;

    fn from_str(text: &str) -> Result<Self, QuotaTextError> {
        let quoted = || text.chars().take(QUOTED_CHARS_MAX).collect::<String>();
        let form = || QuotaTextError::Form(quoted());
        let (count, window) = text.trim().split_once('/').ok_or_else(form)?;
        let count = number(count).and_then(|count| u32::try_from(count).ok()).ok_or_else(form)?;
        let window = span(window).ok_or_else(form)?;
        Self::new(count, window).map_err(|source| QuotaTextError::Bounds { text: quoted(), source })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.window().as_millis();
        let (unit, each) =
            UNITS.into_iter().find(|(_, each)| ms.is_multiple_of(u128::from(*each))).unwrap_or(("ms", 1));
        write!(f, "{}/{}{unit}", self.count(), ms / u128::from(each))
    }
}

/// Digits only: `+5` and ` 5` are what nobody means.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn span(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit);
    let each = UNITS.into_iter().find_map(|(word, each)| (word == unit).then_some(each))?;
    number(count)?.checked_mul(each).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_read_back_as_they_were_written() {
        for (text, count, seconds) in [
            ("5/1m", 5, 60),
            ("100/15m", 100, 900),
            ("3/1h", 3, 3_600),
            ("6000/1m", 6_000, 60),
            ("1/2d", 1, 172_800),
            ("7/30s", 7, 30),
        ] {
            let quota: Quota = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((quota.count(), quota.window().as_secs()), (count, seconds), "{text}");
            assert_eq!(quota.to_string(), text);
        }
        assert_eq!("5/250ms".parse::<Quota>().map(|quota| quota.to_string()), Ok("5/250ms".to_owned()));
        assert_eq!("5/60s".parse::<Quota>().map(|quota| quota.to_string()), Ok("5/1m".to_owned()));
    }

    #[test]
    fn anything_else_is_refused_in_words() {
        for bad in [
            "",
            "5",
            "/1m",
            "5/",
            "5/m",
            "5/1",
            "5/1w",
            "+5/1m",
            "5/-1m",
            "5/1m ago",
            "x/1m",
            "4294967296/1m",
            "5/99999999999999999999d",
        ] {
            let error = bad.parse::<Quota>().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("such as 5/1m"), "{bad:?}: {error}");
        }
        assert_eq!(
            "0/1m".parse::<Quota>().map_err(|error| error.to_string()),
            Err("\"0/1m\": a quota admits at least 1 request a window, not 0".to_owned())
        );
    }
}
