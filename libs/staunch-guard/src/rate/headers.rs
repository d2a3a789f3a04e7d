//! What an answer says of the quota: draft-ietf-httpapi-ratelimit-headers-11 (May 2026).
//!
//! It is a draft, so its revision is pinned here: `RateLimit-Policy` and `RateLimit` are lists of strings with parameters
//! (RFC 9651), the problem type is `quota-exceeded`, and its URI is not registered yet.

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::limiter::Limiter;
use super::policy::{NAME_BYTES_MAX, POLICIES_MAX, Policy, PolicySet};
use super::ruling::Ruling;
use crate::refusal::Refusal;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Digits of a number of 64 bits.
const DIGITS_MAX: usize = 20;
/// A policy with the longest name and numbers: `, "NAME";r=NUMBER;t=NUMBER`.
const PART_BYTES_MAX: usize = 10 + NAME_BYTES_MAX + 2 * DIGITS_MAX;
const LINE_BYTES_MAX: usize = POLICIES_MAX * PART_BYTES_MAX;

const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// `"login";q=5;w=60, "api";q=100;w=900`: what holds for the resource, without dry runs.
pub(crate) fn policy_line(set: &PolicySet) -> HeaderValue {
    let mut line = String::new();
    for policy in set.policies().iter().filter(|policy| !policy.dry_run) {
        write_policy(&mut line, policy);
    }
    value(&line)
}

fn write_policy(line: &mut String, policy: &Policy) {
    let (count, window) = (policy.quota.count(), seconds(policy.quota.window()));
    separate(line);
    // Writing to a string does not fail.
    let _ = write!(line, "\"{}\";q={count};w={window}", policy.name);
}

/// `"login";r=4;t=12` for each policy that was asked; for the one that denied only, if one did. Written for each answer, so by
/// hand, and into a buffer that costs no allocation.
fn limit_line(limiter: &Limiter, ruling: &Ruling) -> HeaderValue {
    // To clear room for all policies takes as long as to write one.
    if limiter.policies().len() == 1 {
        limit_line_within::<PART_BYTES_MAX>(limiter, ruling)
    } else {
        limit_line_within::<LINE_BYTES_MAX>(limiter, ruling)
    }
}

fn limit_line_within<const MAX: usize>(limiter: &Limiter, ruling: &Ruling) -> HeaderValue {
    let denied = ruling.denied().map(|(policy, _)| policy);
    let told = |policy: usize| denied.is_none_or(|denied| denied == policy);
    let mut line = Line { bytes: [0; MAX], length: 0 };
    for standing in ruling.standings().filter(|standing| !standing.dry_run && told(standing.policy)) {
        let (left, more_in) = standing.left();
        line.push(if line.length > 0 { b", \"" } else { b"\"" });
        line.push(limiter.name(standing.policy).as_bytes());
        line.push(b"\";r=");
        line.push_number(left);
        line.push(b";t=");
        line.push_number(seconds(more_in));
    }
    // Names are checked to be printable ASCII, so it always is a value.
    HeaderValue::from_bytes(&line.bytes[..line.length]).unwrap_or(HeaderValue::from_static(""))
}

/// A line that is being written.
struct Line<const MAX: usize> {
    bytes: [u8; MAX],
    length: usize,
}

impl<const MAX: usize> Line<MAX> {
    /// What does not fit is left out, and by the bound everything does.
    fn push(&mut self, part: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + part.len()) {
            room.copy_from_slice(part);
            self.length += part.len();
        }
    }

    fn push_number(&mut self, number: u64) {
        let mut digits = [0; DIGITS_MAX];
        let (mut rest, mut from) = (number, DIGITS_MAX);
        loop {
            from -= 1;
            digits[from] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[from..]);
    }
}

fn separate(line: &mut String) {
    if !line.is_empty() {
        line.push_str(", ");
    }
}

/// Rounded up: whoever comes back after that many has waited long enough.
fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

fn value(line: &str) -> HeaderValue {
    // Names are checked to be printable ASCII, so it always is a value.
    HeaderValue::from_str(line).unwrap_or(HeaderValue::from_static(""))
}

/// Both lines of an answer.
pub(crate) struct Told {
    policy: HeaderValue,
    limit: HeaderValue,
}

impl Told {
    /// What there is to tell; nothing if only dry runs were asked.
    pub(crate) fn of(limiter: &Limiter, ruling: &Ruling) -> Option<Self> {
        let told = ruling.standings().any(|standing| !standing.dry_run);
        told.then(|| Self { policy: limiter.policy_line().clone(), limit: limit_line(limiter, ruling) })
    }

    /// Adds both lines. They are lists, so a limiter further out adds its own.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        headers.append(POLICY, self.policy);
        headers.append(LIMIT, self.limit);
    }
}

/// The refusal of a request that one of the policies denies; `None` if it is admitted.
pub(crate) fn refusal(limiter: &Limiter, ruling: &Ruling) -> Option<Refusal> {
    let (policy, denied) = ruling.denied()?;
    let mut refusal = too_many().retry_after(denied.retry).hint("wait for as long as Retry-After says");
    let violated = Value::from(vec![limiter.name(policy)]);
    refusal.members.insert("violated-policies".to_owned(), violated);
    Some(refusal)
}

/// The refusal without a policy or a time.
pub(crate) fn too_many() -> Refusal {
    let mut refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", "Quota Exceeded");
    refusal.kind = QUOTA_EXCEEDED;
    refusal
}

/// The answer to a request that is denied.
pub(crate) fn answer<B: From<bytes::Bytes>>(limiter: &Limiter, ruling: &Ruling, refusal: Refusal) -> Response<B> {
    let mut response = refusal.response();
    if let Some(told) = Told::of(limiter, ruling) {
        told.tell(response.headers_mut());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_by_others() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX - 1, u64::MAX] {
            let mut line = Line { bytes: [0; LINE_BYTES_MAX], length: 0 };
            line.push_number(number);
            assert_eq!(line.bytes[..line.length], *number.to_string().as_bytes());
        }
    }

    #[test]
    fn a_line_below_at_and_over_its_bound() {
        let mut line = Line { bytes: [0; LINE_BYTES_MAX], length: LINE_BYTES_MAX - 2 };
        line.push(b"a");
        assert_eq!(line.length, LINE_BYTES_MAX - 1);
        line.push(b"bc");
        assert_eq!(line.length, LINE_BYTES_MAX - 1, "left out");
        line.push(b"d");
        assert_eq!(line.length, LINE_BYTES_MAX);
    }
}
