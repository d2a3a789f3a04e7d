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
use staunch_guard::csrf::{CsrfStore, NoRandom, Random, SLOTS, StoreLimits, Token, Verdict};

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
    let memory = memory(rounds, calls, (many.bytes_a_session * MANY as f64) as usize);
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
        "bytes_a_session_max": rounded(many.bytes_a_session),
        "memory_ns_100k": rounded(memory),
        "sha256_64_ns": rounded(sha),
        "axum_csrf_issue_ns": rounded(peer_issue),
        "axum_csrf_verify_ns": rounded(peer_verify),
        "ratio_issue_goal": rounded(ISSUE_GOAL / few.issue),
        "ratio_issue_goal_100k": rounded(ISSUE_GOAL / many.issue),
        "ratio_verify_goal": rounded(VERIFY_GOAL / few.verify),
        "ratio_verify_goal_100k": rounded(VERIFY_GOAL / many.verify),
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

/// Stores with so many sessions, asked for at random. What comes with a request, its id and its token, has just been read, so
/// neither may cost memory of the bench's own: ids are made of numbers, and where tokens are verified all sessions have the same
/// one.
fn measure(sessions: usize, rounds: usize, calls: usize) -> Result<Speed, Box<dyn Error>> {
    let limits = StoreLimits { sessions_max: 2 * sessions, policy: Policy::Refuse, ..StoreLimits::default() };
    let mut state = 1;
    let mut ids = |count: usize| -> Vec<[u8; ID_CHARS]> {
        (0..count).map(|_| id(random(&mut state) as usize % sessions)).collect()
    };

    let alike = CsrfStore::with_random(limits, *b"any sixteen byte", || Ok(Same))?;
    let mut token = fill(&alike, sessions)?;
    for _ in 1..SLOTS {
        token = fill(&alike, sessions)?;
    }
    let mut right = 0;
    let verify = median(rounds, calls, &mut ids, |id| {
        right += usize::from(alike.verify(id, token.as_bytes(), 1) == Verdict::Valid);
    });
    if right != (rounds + 1) * calls {
        return Err("a token did not verify".into());
    }
    drop(alike);

    let store = CsrfStore::new(limits)?;
    fill(&store, sessions)?;
    let stats = store.stats();
    let current = median(rounds, calls, &mut ids, |id| {
        black_box(store.current(id, 1)).ok();
    });
    let issue = median(rounds, calls, &mut ids, |id| {
        black_box(store.issue(id, 1)).ok();
    });
    Ok(Speed { issue, current, verify, bytes_a_session: stats.bytes_max as f64 / stats.sessions_max as f64 })
}

/// Issues a token to each session and returns the last one.
fn fill<R: Random>(store: &CsrfStore<R>, sessions: usize) -> Result<Token, Box<dyn Error>> {
    let mut last = store.issue(&id(0), 0)?;
    for i in 1..sessions {
        last = store.issue(&id(i), 0)?;
    }
    if store.stats().sessions != sessions as u64 {
        return Err("a session found no room".into());
    }
    Ok(last)
}

/// A source that always gives the same bytes.
struct Same;

impl Random for Same {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        bytes.fill(7);
        Ok(())
    }
}

fn id(number: usize) -> [u8; ID_CHARS] {
    std::array::from_fn(|i| (number >> (i % 20)) as u8)
}

/// Xorshift: good enough to choose sessions by.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 20
}

/// The floor: one block and its padding, as any token made of a hash costs at least.
fn sha256(rounds: usize, calls: usize) -> f64 {
    let text = [7; 64];
    median(rounds, calls, &mut nothing, |()| {
        black_box(Sha256::digest(black_box(text)));
    })
}

/// Another floor: one read of memory that is not in a cache of the processor's own, from as many bytes as the store with many
/// sessions has. Each call with so many sessions waits for one such read at least; with few it does not.
fn memory(rounds: usize, calls: usize, bytes: usize) -> f64 {
    const LINE: usize = 64;
    let lines = bytes / LINE;
    let mut order: Vec<usize> = (0..lines).collect();
    let mut state = 1;
    for i in (1..lines).rev() {
        order.swap(i, random(&mut state) as usize % (i + 1));
    }
    // A ring through all lines: each holds where the next is, so that no read can begin before the last has ended.
    let mut ring = vec![[0u64; LINE / 8]; lines];
    for (i, line) in order.iter().enumerate() {
        ring[*line][0] = order[(i + 1) % lines] as u64;
    }
    let mut at = 0;
    median(rounds, calls, &mut nothing, |()| at = black_box(ring[at as usize][0]))
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
