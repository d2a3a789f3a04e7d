//! What an answer says of the quota: draft-ietf-httpapi-ratelimit-headers-11 (May 2026).
//!
//! It is a draft, so its revision is pinned here: `RateLimit-Policy` and `RateLimit` are lists of strings with parameters
//! (RFC 9651), the problem type is `quota-exceeded`, and its URI is not registered yet.

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::limiter::Limiter;
use super::policy::{Policy, PolicySet};
use super::ruling::Ruling;
use crate::refusal::Refusal;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

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

/// `"login";r=4;t=12` for each policy that was asked; for the one that denied only, if one did.
fn limit_line(limiter: &Limiter, ruling: &Ruling) -> HeaderValue {
    let denied = ruling.denied().map(|(policy, _)| policy);
    let told = |policy: usize| denied.is_none_or(|denied| denied == policy);
    let mut line = String::with_capacity(32);
    for standing in ruling.standings().filter(|standing| !standing.dry_run && told(standing.policy)) {
        let (left, more_in) = standing.left();
        separate(&mut line);
        let _ = write!(line, "\"{}\";r={left};t={}", limiter.name(standing.policy), seconds(more_in));
    }
    value(&line)
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

/// Adds both lines. They are lists, so a limiter further out adds its own.
pub(crate) fn add(headers: &mut HeaderMap, limiter: &Limiter, ruling: &Ruling) {
    if ruling.standings().any(|standing| !standing.dry_run) {
        headers.append(POLICY, limiter.policy_line().clone());
        headers.append(LIMIT, limit_line(limiter, ruling));
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
    add(response.headers_mut(), limiter, ruling);
    response
}
