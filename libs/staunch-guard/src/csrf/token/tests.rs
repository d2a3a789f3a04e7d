//! Tests of tokens.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::csrf::fakes::{Broken, Numbers};
use crate::csrf::random::SeededRandom;

fn token(secret: u8, mask: u8) -> Token {
    Token::masked(&Secret([secret; 16]), &[mask; 16])
}

#[test]
fn a_token_is_43_characters_of_mask_and_masked_secret() {
    assert_eq!(token(0, 0).as_str(), "A".repeat(43));
    // 0xff, 0xff, ... then 0xff xor 0xff = 0: sixteen bytes of ones, sixteen of zeros.
    assert_eq!(token(0xff, 0xff).as_str(), "_____________________wAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(Secret::unmasked(token(7, 9).as_bytes()).unwrap().bytes(), &[7; 16]);
    assert_eq!(size_of::<Token>(), TOKEN_CHARS);
}

/// S12: a million tokens have a million secrets and masks, and two renders of one secret differ and both hide it.
#[test]
fn s12_tokens_are_unique_over_a_million_and_renders_differ() {
    let random = SeededRandom::new().unwrap();
    let (mut secrets, mut masks) = (HashSet::new(), HashSet::new());
    for _ in 0..1_000_000 {
        let drawn = Drawn::new(&random).unwrap();
        assert!(secrets.insert(u128::from_le_bytes(*drawn.secret().bytes())));
        assert!(masks.insert(u128::from_le_bytes(drawn.mask)));
    }
    let (one, two) = (Drawn::new(&random).unwrap(), Drawn::new(&random).unwrap());
    let renders = [one.token(), two.token_of(one.secret())];
    assert_ne!(renders[0], renders[1]);
    for render in renders {
        assert_eq!(Secret::unmasked(render.as_bytes()).unwrap().bytes(), one.secret().bytes());
    }
}

/// S15: one form only. 42, 44 and more characters, unused bits, padding, the other alphabet, other bytes.
#[test]
fn s15_only_the_canonical_form_is_accepted() {
    let good = token(0xff, 0xff);
    let text = good.as_str();
    assert!(Secret::unmasked(text.as_bytes()).is_ok());
    let last = |c: char| format!("{}{c}", &text[..42]);
    let mut bad = vec![
        text[..42].to_owned(),
        format!("{text}A"),
        format!("{text}="),
        format!("{}=", &text[..42]),
        format!("{text} "),
        format!(" {text}"),
        format!("{} ", &text[..42]),
        text.replace('_', "/"),
        text.replace('_', "+"),
        format!("{}\0", &text[..42]),
        format!("{}é", &text[..41]),
        "A".repeat(1_000_000),
    ];
    // The last character has two bits that mean nothing: only zero is accepted.
    bad.extend(['B', 'C', 'D', '_', '-'].map(last));
    for bad in bad {
        let verdict = Secret::unmasked(bad.as_bytes()).map(drop);
        assert_eq!(verdict, Err(Verdict::Malformed), "{:.60}", bad);
    }
    assert_eq!(Secret::unmasked(b"").map(drop), Err(Verdict::Missing));
    assert!(Secret::unmasked(last('A').as_bytes()).is_ok());
}

/// S17, here for what holds secrets.
#[test]
fn s17_debug_shows_no_secret() {
    let drawn = Drawn::new(&Numbers::default()).unwrap();
    assert_eq!(format!("{:?} {:?}", drawn.token(), drawn.secret()), "Token(..) Secret(..)");
}

/// S18: without randomness there is an error, never an empty or a constant token.
#[test]
fn s18_a_failing_source_is_an_error() {
    assert_eq!(Drawn::new(&Broken).map(drop), Err(NoRandom));
}

proptest! {
    #[test]
    fn what_is_accepted_is_what_would_be_written(bytes in any::<[u8; 32]>(), text in "[A-Za-z0-9_-]{43}") {
        let (mask, hidden) = bytes.split_at(16);
        let mask: [u8; 16] = mask.try_into().unwrap();
        let secret = Secret(std::array::from_fn(|i| hidden[i] ^ mask[i]));
        let written = Token::masked(&secret, &mask);
        let read = Secret::unmasked(written.as_bytes()).unwrap();
        prop_assert_eq!(read.bytes(), secret.bytes());
        // Any text that is accepted is the one text of its bytes.
        if Secret::unmasked(text.as_bytes()).is_ok() {
            let plain = URL_SAFE_NO_PAD.decode(&text).unwrap();
            prop_assert_eq!(URL_SAFE_NO_PAD.encode(plain), text);
        }
    }
}
