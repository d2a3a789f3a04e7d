//! Tests of the login form's pairs.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::csrf::fakes::{Broken, Numbers};
use crate::csrf::random::SystemRandom;

#[test]
fn a_pair_is_good_for_ten_minutes_below_at_and_over() {
    let forms = PreSession::new(&SystemRandom).unwrap();
    let (cookie, token) = forms.issue(1000, &SystemRandom).unwrap();
    assert_eq!((cookie.len(), token.len()), (COOKIE_CHARS, FORM_TOKEN_CHARS));
    for (now, verdict) in [
        (0, Verdict::Valid),
        (1000, Verdict::Valid),
        (1599, Verdict::Valid),
        (1600, Verdict::Expired),
        (1601, Verdict::Expired),
        (u32::MAX, Verdict::Expired),
    ] {
        assert_eq!(forms.verify(cookie.as_bytes(), token.as_bytes(), now), verdict, "at {now}");
    }
    let short = PreSession::new(&SystemRandom).unwrap().ttl_seconds(1);
    let (cookie, token) = short.issue(0, &SystemRandom).unwrap();
    assert_eq!(short.verify(cookie.as_bytes(), token.as_bytes(), 1), Verdict::Expired);
}

#[test]
fn a_token_belongs_to_its_cookie_its_time_and_its_server() {
    let random = Numbers::default();
    let forms = PreSession::new(&random).unwrap();
    let (cookie, token) = forms.issue(0, &random).unwrap();
    let (other_cookie, other_token) = forms.issue(0, &random).unwrap();
    let verify = |cookie: &str, token: &str| forms.verify(cookie.as_bytes(), token.as_bytes(), 0);
    assert_eq!(verify(&cookie, &token), Verdict::Valid);
    assert_eq!(verify(&other_cookie, &other_token), Verdict::Valid);
    assert_eq!((verify(&cookie, &other_token), verify(&other_cookie, &token)), (Verdict::Invalid, Verdict::Invalid));
    let restarted = PreSession::new(&random).unwrap();
    assert_eq!(restarted.verify(cookie.as_bytes(), token.as_bytes(), 0), Verdict::Invalid);
    // Every bit counts: of the time, the nonce and the hash. The last of 38 characters has four that mean nothing.
    for at in 0..FORM_TOKEN_CHARS {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let verdict = forms.verify(cookie.as_bytes(), &changed, 0);
        assert!(matches!(verdict, Verdict::Invalid | Verdict::Malformed), "{at}: {verdict:?}");
    }
}

#[test]
fn a_second_tab_keeps_the_cookie_of_the_first_and_no_two_tokens_are_equal() {
    let forms = PreSession::new(&SystemRandom).unwrap();
    let (cookie, first) = forms.issue(0, &SystemRandom).unwrap();
    let second = forms.token(cookie.as_bytes(), 0, &SystemRandom).unwrap().unwrap();
    assert_ne!(first, second);
    for token in [&first, &second] {
        assert_eq!(forms.verify(cookie.as_bytes(), token.as_bytes(), 0), Verdict::Valid);
    }
    for none in ["", "short", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(forms.token(none.as_bytes(), 0, &SystemRandom).unwrap(), None, "{none}");
    }
}

#[test]
fn what_has_not_the_form_is_malformed_and_nothing_is_missing() {
    let forms = PreSession::new(&SystemRandom).unwrap();
    let (cookie, token) = forms.issue(0, &SystemRandom).unwrap();
    let verify = |cookie: &str, token: &str| forms.verify(cookie.as_bytes(), token.as_bytes(), 0);
    assert_eq!((verify("", &token), verify(&cookie, "")), (Verdict::Missing, Verdict::Missing));
    for bad in [&token[..37], &format!("{token}A"), &format!("{token}="), &"/".repeat(38), &"A".repeat(1 << 20)] {
        assert_eq!(verify(&cookie, bad), Verdict::Malformed, "{bad:.50}");
        assert_eq!(verify(bad, &token), Verdict::Malformed, "{bad:.50}");
    }
    // 22 and 38 characters have four bits that mean nothing: one form only.
    assert_eq!(verify(&format!("{}B", &"A".repeat(21)), &token), Verdict::Malformed);
    assert_eq!(verify(&cookie, &format!("{}B", &"A".repeat(37))), Verdict::Malformed);
    // A token of a session is none of a form.
    assert_eq!(verify(&cookie, &"A".repeat(43)), Verdict::Malformed);
}

#[test]
fn without_randomness_there_is_no_pair_and_debug_is_silent() {
    assert_eq!(PreSession::new(&Broken).map(drop), Err(NoRandom));
    let forms = PreSession::new(&SystemRandom).unwrap();
    assert_eq!(forms.issue(0, &Broken), Err(NoRandom));
    assert_eq!(forms.token(b"AAAAAAAAAAAAAAAAAAAAAA", 0, &Broken), Err(NoRandom));
    assert_eq!(format!("{forms:?}"), "PreSession { ttl: 600, .. }");
}
