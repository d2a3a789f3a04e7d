//! Tests of the ring.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::csrf::fakes::{Broken, Numbers};
use crate::csrf::random::SystemRandom;

const DAY: u32 = 24 * 60 * 60;

#[test]
fn a_ring_is_104_bytes_without_a_heap() {
    assert_eq!(size_of::<Ring>(), 104);
}

/// G1: a thousand tokens for one session leave five live, the newest five, in the same 104 bytes.
#[test]
fn ground_g1_a_thousand_tokens_for_one_session_leave_the_newest_five() {
    let (random, mut ring) = (Numbers::default(), Ring::default());
    let mut tokens = Vec::new();
    for n in 0..1000 {
        tokens.push(ring.issue(n, &random).unwrap());
        assert_eq!(ring.live(n, DAY), SLOTS.min(n as usize + 1));
    }
    assert_eq!(size_of_val(&ring), 104);
    for (n, token) in tokens.iter().enumerate() {
        let expected = if n < 995 { Verdict::Invalid } else { Verdict::Valid };
        assert_eq!(ring.verify(token.as_bytes(), 1000, DAY), expected, "token {n}");
    }
    ring.clear();
    assert_eq!(ring.live(1000, DAY), 0);
}

/// S2: below, at and over five; the first goes first, by issue.
#[test]
fn s2_the_sixth_issue_kills_the_first() {
    let (random, mut ring) = (Numbers::default(), Ring::default());
    let tokens: Vec<Token> = (0..6).map(|_| ring.issue(7, &random).unwrap()).collect();
    let verdicts: Vec<Verdict> = tokens.iter().map(|token| ring.verify(token.as_bytes(), 7, DAY)).collect();
    assert_eq!(verdicts[0], Verdict::Invalid);
    assert_eq!(verdicts[1..], [Verdict::Valid; 5]);
}

/// S3: with expired and live ones, an issue takes the slot of an expired one.
#[test]
fn s3_an_expired_slot_is_used_before_a_live_one() {
    let (random, mut ring) = (Numbers::default(), Ring::default());
    let old: Vec<Token> = (0..2).map(|_| ring.issue(0, &random).unwrap()).collect();
    let live: Vec<Token> = (0..3).map(|_| ring.issue(50, &random).unwrap()).collect();
    let (now, ttl) = (100, 100);
    assert_eq!(ring.live(now, ttl), 3);
    let newer: Vec<Token> = (0..2).map(|_| ring.issue(now, &random).unwrap()).collect();
    assert_eq!(ring.live(now, ttl), 5);
    for token in live.iter().chain(&newer) {
        assert_eq!(ring.verify(token.as_bytes(), now, ttl), Verdict::Valid);
    }
    for token in &old {
        assert_eq!(ring.verify(token.as_bytes(), now, ttl), Verdict::Invalid);
    }
}

/// S4: live at ttl − 1, dead at ttl and after.
#[test]
fn s4_age_below_at_and_over_the_bound() {
    let (random, mut ring) = (Numbers::default(), Ring::default());
    let token = ring.issue(1000, &random).unwrap();
    for (now, verdict, live) in [
        (1000, Verdict::Valid, 1),
        (1000 + DAY - 1, Verdict::Valid, 1),
        (1000 + DAY, Verdict::Expired, 0),
        (1000 + DAY + 1, Verdict::Expired, 0),
        (u32::MAX, Verdict::Expired, 0),
    ] {
        assert_eq!((ring.verify(token.as_bytes(), now, DAY), ring.live(now, DAY)), (verdict, live), "at {now}");
    }
    // No life at all: dead at once. The longest: never dead but at the end of all time.
    assert_eq!(ring.verify(token.as_bytes(), 1000, 0), Verdict::Expired);
    assert_eq!(ring.verify(token.as_bytes(), u32::MAX, u32::MAX), Verdict::Valid);
}

/// S5: a clock that stands still or goes back neither panics nor reorders.
#[test]
fn s5_a_clock_that_stands_or_goes_back() {
    let (random, mut ring) = (Numbers::default(), Ring::default());
    let first = ring.issue(u32::MAX, &random).unwrap();
    let tokens: Vec<Token> = (0..4).map(|n| ring.issue(4 - n, &random).unwrap()).collect();
    assert_eq!(ring.live(0, 1), 5);
    assert_eq!(ring.verify(first.as_bytes(), 0, DAY), Verdict::Valid);
    ring.issue(0, &random).unwrap();
    assert_eq!(ring.verify(first.as_bytes(), 0, DAY), Verdict::Invalid);
    assert_eq!(ring.verify(tokens[0].as_bytes(), 0, DAY), Verdict::Valid);
}

/// S13: all zeros are the content of an unused slot, and no token of a fresh session.
#[test]
fn s13_the_all_zero_token_is_refused() {
    let (random, mut ring) = (Numbers::default(), Ring::default());
    // Any mask over a secret of zeros: the two halves are equal.
    let zeros = ["A".repeat(43), "_".repeat(21) + "_" + &"_".repeat(20) + "8"];
    for used in 0..5 {
        for zero in &zeros {
            assert_eq!(ring.verify(zero.as_bytes(), 0, DAY), Verdict::Invalid, "{used} slots used");
        }
        ring.issue(0, &random).unwrap();
    }
    ring.clear();
    assert_eq!(ring.verify(zeros[0].as_bytes(), 0, DAY), Verdict::Invalid);
}

/// S14: verifying is a look: it takes `&self`, and the ring has no cell, no clock and no heap.
#[test]
fn s14_verify_extends_no_life() {
    let (random, mut ring) = (Numbers::default(), Ring::default());
    let token = ring.issue(0, &random).unwrap();
    for now in 0..100 {
        assert_eq!(ring.verify(token.as_bytes(), now, 100), Verdict::Valid);
    }
    assert_eq!(ring.verify(token.as_bytes(), 100, 100), Verdict::Expired);
}

/// S17 and S18, here.
#[test]
fn s17_s18_debug_is_silent_and_a_failing_source_changes_nothing() {
    let (random, mut ring) = (Numbers::default(), Ring::default());
    let token = ring.issue(0, &random).unwrap();
    assert_eq!(format!("{ring:?}"), "Ring { used: 1, .. }");
    assert_eq!(ring.issue(1, &Broken), Err(NoRandom));
    assert_eq!(ring.current(1, DAY, &Broken), Err(NoRandom));
    assert_eq!((ring.live(1, DAY), ring.verify(token.as_bytes(), 1, DAY)), (1, Verdict::Valid));
}

/// Trap 23: twelve tabs and the Back button share one secret; half a life on there is a second one, and both are good.
#[test]
fn many_tabs_share_a_slot_and_what_is_shown_lasts_half_a_life() {
    let mut ring = Ring::default();
    let tabs: Vec<Token> = (0..12).map(|n| ring.current(n, DAY, &SystemRandom).unwrap()).collect();
    assert_eq!(ring.live(12, DAY), 1);
    let half = DAY / 2;
    let last = ring.current(half - 1, DAY, &SystemRandom).unwrap();
    assert_eq!(ring.live(half - 1, DAY), 1);
    let fresh = ring.current(half, DAY, &SystemRandom).unwrap();
    assert_eq!(ring.live(half, DAY), 2);
    for token in tabs.iter().chain([&last, &fresh]) {
        assert_eq!(ring.verify(token.as_bytes(), half, DAY), Verdict::Valid);
    }
    // What was shown last is good for half a life, even if shown in the last second of the secret's youth.
    assert_eq!(ring.verify(last.as_bytes(), half - 1 + half, DAY), Verdict::Valid);
}

#[test]
fn another_rings_token_and_a_cleared_rings_token_are_invalid() {
    let (random, mut one, mut two) = (Numbers::default(), Ring::default(), Ring::default());
    let token = one.issue(0, &random).unwrap();
    two.issue(0, &random).unwrap();
    assert_eq!(two.verify(token.as_bytes(), 0, DAY), Verdict::Invalid);
    one.clear();
    assert_eq!(one.verify(token.as_bytes(), 0, DAY), Verdict::Invalid);
    assert_eq!(one.verify(b"", 0, DAY), Verdict::Missing);
    assert_eq!(one.verify(b"x", 0, DAY), Verdict::Malformed);
}

#[derive(Clone, Debug)]
enum Act {
    Issue,
    Current,
    Clear,
    Wait(u32),
    Back(u32),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Issue),
        4 => Just(Act::Current),
        1 => Just(Act::Clear),
        4 => (0..60u32).prop_map(Act::Wait),
        1 => (0..60u32).prop_map(Act::Back),
    ]
}

proptest! {
    /// The model is a list of all tokens ever, newest last: the last five are held.
    #[test]
    fn a_ring_is_the_last_five_of_a_list(acts in prop::collection::vec(act(), 1..80), ttl in 1..100u32) {
        let (random, mut ring) = (Numbers::default(), Ring::default());
        let mut list: Vec<(Vec<Token>, u32)> = Vec::new();
        let mut gone: Vec<Token> = Vec::new();
        let mut now = 0u32;
        for act in acts {
            let last = list.last().map_or(0, |(_, issued)| *issued);
            match act {
                Act::Issue => list.push((vec![ring.issue(now, &random).unwrap()], now.max(last))),
                Act::Current => {
                    let token = ring.current(now, ttl, &random).unwrap();
                    match list.last_mut() {
                        Some((tokens, issued)) if now.saturating_sub(*issued) < ttl / 2 => tokens.push(token),
                        _ => list.push((vec![token], now.max(last))),
                    }
                }
                Act::Clear => {
                    ring.clear();
                    gone.extend(list.drain(..).flat_map(|(tokens, _)| tokens));
                }
                Act::Wait(seconds) => now += seconds,
                Act::Back(seconds) => now = now.saturating_sub(seconds),
            }
            while list.len() > 5 {
                gone.extend(list.remove(0).0);
            }
            let live = list.iter().filter(|(_, issued)| now.saturating_sub(*issued) < ttl).count();
            prop_assert_eq!(ring.live(now, ttl), live);
            for (tokens, issued) in &list {
                let verdict = if now.saturating_sub(*issued) < ttl { Verdict::Valid } else { Verdict::Expired };
                for token in tokens {
                    prop_assert_eq!(ring.verify(token.as_bytes(), now, ttl), verdict);
                }
            }
            for token in &gone {
                prop_assert_eq!(ring.verify(token.as_bytes(), now, ttl), Verdict::Invalid);
            }
        }
    }
}
