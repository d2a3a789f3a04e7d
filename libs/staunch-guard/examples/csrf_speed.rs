//! How long a token takes to issue and to verify, at few and at many sessions, beside a floor and a peer.
//!
//! `cargo xtask bench csrf` runs it. The last line is one JSON object; times are nanoseconds, medians of batches of a hundred calls.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::error::Error;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use axum_csrf::{CsrfConfig, CsrfToken};
use serde_json::json;
use sha2::{Digest, Sha256};
use staunch_bounded::Policy;
use staunch_guard::csrf::{CsrfStore, StoreLimits, Token, Verdict};

const FEW: usize = 100;
const MANY: usize = 100_000;
/// Characters of a session's id: 256 bits in base64url.
const ID_CHARS: usize = 43;
/// Calls timed in one go.
const BATCH: usize = 100;
/// What one call may take, in nanoseconds.
const ISSUE_GOAL: f64 = 400.0;
const VERIFY_GOAL: f64 = 200.0;

struct Speed {
    issue: f64,
    current: f64,
    verify: f64,
    bytes_a_session: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, calls) = if quick { (3, 20_000) } else { (15, 200_000) };
    let few = measure(FEW, rounds, calls)?;
    let many = measure(MANY, rounds, calls)?;
    let sha = sha256(rounds, calls);
    let (peer_issue, peer_verify) = axum_csrf(rounds, calls / 10)?;
    let line = json!({
        "bench": "csrf",
        "rounds": rounds,
        "calls": calls,
        "issue_ns_100": rounded(few.issue),
        "issue_ns_100k": rounded(many.issue),
        "current_ns_100": rounded(few.current),
        "current_ns_100k": rounded(many.current),
        "verify_ns_100": rounded(few.verify),
        "verify_ns_100k": rounded(many.verify),
        "bytes_a_session_100k": rounded(many.bytes_a_session),
        "sha256_64_ns": rounded(sha),
        "axum_csrf_issue_ns": rounded(peer_issue),
        "axum_csrf_verify_ns": rounded(peer_verify),
        "ratio_issue_goal": rounded(ISSUE_GOAL / many.issue),
        "ratio_verify_goal": rounded(VERIFY_GOAL / many.verify),
        // The goal is 0.5: twice the time.
        "ratio_issue_flat": rounded(few.issue / many.issue),
        "ratio_verify_flat": rounded(few.verify / many.verify),
        "ratio_issue_axum_csrf": rounded(peer_issue / many.issue),
        "ratio_verify_axum_csrf": rounded(peer_verify / many.verify),
        "ratio_verify_sha256": rounded(sha / many.verify),
    });
    println!("{line}");
    Ok(())
}

/// A store with so many sessions. They were put in in another order than that in which they are asked for, so that the store's
/// memory is met at random; what comes with a request, its id and its token, has just been read.
fn measure(sessions: usize, rounds: usize, calls: usize) -> Result<Speed, Box<dyn Error>> {
    let limits = StoreLimits { sessions_max: 2 * sessions, policy: Policy::Refuse, ..StoreLimits::default() };
    let store = CsrfStore::new(limits)?;
    let ids: Vec<[u8; ID_CHARS]> = (0..sessions).map(|i| std::array::from_fn(|k| (i >> k) as u8)).collect();
    for i in 0..sessions {
        // 7,919 is a prime that divides neither count, so this visits each once.
        store.issue(&ids[i * 7919 % sessions], 0)?;
    }
    let tokens: Vec<Token> = ids.iter().map(|id| store.current(id, 0)).collect::<Result<_, _>>()?;
    let stats = store.stats();
    if stats.sessions != sessions as u64 {
        return Err("a session found no room".into());
    }
    let mut right = 0;
    let mut turn = 0;
    let mut requests = |count: usize| -> Vec<([u8; ID_CHARS], Token)> {
        let turns = (turn..turn + count).map(|turn| turn % sessions);
        turn += count;
        turns.map(|i| (ids[i], tokens[i].clone())).collect()
    };
    let verify = median(rounds, calls, &mut requests, |(id, token)| {
        right += usize::from(store.verify(id, token.as_bytes(), 1) == Verdict::Valid);
    });
    if right != (rounds + 1) * calls {
        return Err("a token did not verify".into());
    }
    let current = median(rounds, calls, &mut requests, |(id, _)| {
        black_box(store.current(id, 1)).ok();
    });
    let issue = median(rounds, calls, &mut requests, |(id, _)| {
        black_box(store.issue(id, 1)).ok();
    });
    Ok(Speed { issue, current, verify, bytes_a_session: stats.bytes as f64 / sessions as f64 })
}

/// The floor: one block and its padding, as any token made of a hash costs at least.
fn sha256(rounds: usize, calls: usize) -> f64 {
    let text = [7; 64];
    median(rounds, calls, &mut nothing, |()| {
        black_box(Sha256::digest(black_box(text)));
    })
}

/// The peer's primitives, as a handler calls them: it binds a form to a cookie by HMAC-SHA-256, and holds no sessions.
fn axum_csrf(rounds: usize, calls: usize) -> Result<(f64, f64), Box<dyn Error>> {
    use axum_core::extract::FromRequestParts;
    let (mut parts, ()) = http::Request::new(()).into_parts();
    let config = CsrfConfig::default();
    let found = pin!(CsrfToken::from_request_parts(&mut parts, &config)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Ok(token)) = found else { return Err("axum_csrf gives no token".into()) };
    let form = token.authenticity_token()?;
    let issue = median(rounds, calls, &mut nothing, |()| {
        black_box(token.authenticity_token()).ok();
    });
    let verify = median(rounds, calls, &mut nothing, |()| {
        black_box(token.verify(black_box(&form))).ok();
    });
    Ok((issue, verify))
}

fn nothing(count: usize) -> Vec<()> {
    vec![(); count]
}

/// Nanoseconds a call, by the median of batches, so that one in which the machine did something else does not count. Batches
/// are of what `prepare` makes, so that neither the making nor the memory of it is measured; the first round only warms up.
fn median<A>(rounds: usize, calls: usize, prepare: &mut impl FnMut(usize) -> Vec<A>, mut call: impl FnMut(&A)) -> f64 {
    let batches = calls / BATCH;
    let mut times = Vec::with_capacity(batches * rounds);
    for number in 0..batches * (rounds + 1) {
        let batch = prepare(BATCH);
        let begun = Instant::now();
        for one in &batch {
            call(black_box(one));
        }
        let took = begun.elapsed();
        if number >= batches {
            times.push(took.as_nanos() as f64 / BATCH as f64);
        }
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// To three figures.
fn rounded(value: f64) -> f64 {
    let scale = 10f64.powi(2 - value.abs().max(1e-9).log10().floor() as i32);
    (value * scale).round() / scale
}
