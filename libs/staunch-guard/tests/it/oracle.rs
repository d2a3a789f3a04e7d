//! The oracle: whatever happens in a table, no key is admitted beyond what `governor` would admit it alone.
//!
//! For each key there is a `governor` limiter that hears of the admitted requests of this key only, at the times that the
//! table was told. It must admit each of them. A request that is refunded is taken out of what it has heard.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{InsufficientCapacity, RateLimiter};
use proptest::prelude::*;
use staunch_guard::{Decision, Key, Quota, Receipt, Table};

use crate::clock::HandClock;
use crate::numbers::Rng;

type Governor = RateLimiter<NotKeyed, InMemoryState, HandClock, NoOpMiddleware<Nanos>>;

fn governor(quota: &Quota, clock: &HandClock) -> Governor {
    clock.set(0);
    let burst = NonZeroU32::new(quota.burst()).unwrap();
    let theirs = governor::Quota::with_period(quota.interval()).unwrap().allow_burst(burst);
    RateLimiter::direct_with_clock(theirs, clock.clone())
}

/// What one key was admitted, and the oracle that heard of it.
struct Heard {
    admitted: Vec<(u64, u32, Receipt)>,
    oracle: Governor,
    clock: HandClock,
}

impl Heard {
    fn new(quota: &Quota) -> Self {
        let clock = HandClock::default();
        Self { admitted: Vec::new(), oracle: governor(quota, &clock), clock }
    }

    fn admits(&self, now: u64, cost: u32) -> Result<bool, InsufficientCapacity> {
        self.clock.set(now);
        Ok(self.oracle.check_n(NonZeroU32::new(cost).unwrap())?.is_ok())
    }

    /// The oracle unlearns one admission.
    fn forget(&mut self, quota: &Quota, at: usize) -> Receipt {
        let (_, _, receipt) = self.admitted.remove(at);
        self.oracle = governor(quota, &self.clock);
        for (now, cost, _) in &self.admitted {
            assert_eq!(self.admits(*now, *cost), Ok(true), "an admission less, and what was admitted is no longer");
        }
        receipt
    }
}

/// One way to make a trace.
#[derive(Clone, Copy, Debug)]
struct Scene {
    sets: usize,
    keys: u64,
    quota: Quota,
    steps: u64,
    /// How old the times of charges and sweeps may be, in nanoseconds.
    stale: u64,
}

/// Plays a trace; panics if a key is admitted more than it may be.
fn play(scene: Scene, seed: u64) {
    let Scene { sets, keys, quota, steps, stale } = scene;
    let table = Table::new("oracle", quota, sets).unwrap();
    let mut rng = Rng::new(seed);
    let mut heard: Vec<Heard> = (0..keys).map(|_| Heard::new(&quota)).collect();
    // Late enough for stale times to exist.
    let mut time = stale;
    let stride = quota.interval().as_nanos() as u64;
    for step in 0..steps {
        time += match rng.below(8) {
            0..=3 => 0,
            4..=6 => rng.below(stride),
            _ => rng.below(stride * u64::from(quota.burst())),
        };
        let number = rng.below(keys);
        let bytes = number.to_le_bytes();
        let (key, one) = (Key::Bytes(&bytes), &mut heard[number as usize]);
        let now = time - if rng.below(3) == 0 { rng.below(stale + 1) } else { 0 };
        match rng.below(32) {
            0 => drop(table.sweep(now, 1 + rng.below(4) as usize)),
            // Once or twice in a trace: forgets the key, so the oracle does too.
            1 if rng.below(8) == 0 => {
                table.reset(&key);
                *one = Heard::new(&quota);
            }
            2..=5 if !one.admitted.is_empty() => {
                let at = rng.below(one.admitted.len() as u64) as usize;
                let receipt = one.forget(&quota, at);
                table.refund(receipt, || time);
            }
            6 => table.penalize(&key, rng.below(3) as u32, now),
            7 => drop(table.peek(&key, now)),
            _ => {
                let cost = 1 + rng.below(u64::from(quota.burst().min(2))) as u32;
                if let Decision::Allow(allowed) = table.check(&key, cost, now).unwrap() {
                    let admits = one.admits(now, cost);
                    assert_eq!(admits, Ok(true), "step {step} of seed {seed}, {scene:?}: key {number} at {now}");
                    one.admitted.push((now, cost, allowed.receipt()));
                }
            }
        }
    }
}

fn quotas() -> impl Strategy<Value = Quota> {
    (1_u32..=6, 1_u32..=6).prop_map(|(count, burst)| Quota::with_burst(count, Duration::from_secs(60), burst).unwrap())
}

fn scenes() -> impl Strategy<Value = (Scene, u64)> {
    // One set of seven slots for up to three times as many keys; and four sets that may or may not be full.
    let shape = prop_oneof![(Just(1_usize), 1_u64..=24), (Just(4_usize), 20_u64..=90)];
    (shape, quotas(), 0_u64..=90_000_000_000, any::<u64>())
        .prop_map(|((sets, keys), quota, stale, seed)| (Scene { sets, keys, quota, steps: 400, stale }, seed))
}

/// Traces of 400 steps each; the long variant plays the hundred thousand that the promise is made of.
fn traces() -> u32 {
    if std::env::var_os("STAUNCH_TEST_LONG").is_some() { 100_000 } else { 2_000 }
}

#[test]
fn no_key_is_admitted_beyond_its_own_quota() {
    let config = ProptestConfig { cases: traces(), failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((scene, seed) in scenes())| play(scene, seed));
}

/// While no set is full the table and the oracle agree on every request, on what is left and on how long to wait.
#[test]
fn with_room_for_all_keys_it_is_exact() {
    let config = ProptestConfig { cases: traces() / 10, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(quota in quotas(), keys in 1_u64..=7, seed in any::<u64>())| {
        let table = Table::new("exact", quota, 1).unwrap();
        let heard: Vec<Heard> = (0..keys).map(|_| Heard::new(&quota)).collect();
        let mut rng = Rng::new(seed);
        let mut now = 0;
        for _ in 0..300 {
            now += rng.below(2) * rng.below(20_000_000_000);
            let number = rng.below(keys);
            let cost = 1 + rng.below(u64::from(quota.burst())) as u32;
            let decision = table.check(&Key::Bytes(&number.to_le_bytes()), cost, now).unwrap();
            let one = &heard[number as usize];
            one.clock.set(now);
            let theirs = one.oracle.check_n(NonZeroU32::new(cost).unwrap()).unwrap();
            match (decision, theirs) {
                (Decision::Allow(_), Ok(())) => {}
                (Decision::Deny(denied), Err(until)) => prop_assert_eq!(denied.retry, until.wait_time_from(now.into())),
                (ours, theirs) => panic!("at {now}: {ours:?}, {theirs:?}"),
            }
            if rng.below(10) == 0 {
                table.sweep(now, 1);
            }
        }
    });
}

#[test]
fn costs_below_at_and_over_the_burst() {
    let quota = Quota::new(5, Duration::from_secs(60)).unwrap();
    let table = Table::new("costs", quota, 1).unwrap();
    let one = Heard::new(&quota);
    for cost in [4_u32, 5, 6, 7, 15] {
        let ours = table.check(&Key::Bytes(&cost.to_le_bytes()), cost, 0).map(|decision| decision.is_allowed());
        let theirs = one.oracle.check_n(NonZeroU32::new(cost).unwrap()).map(|_| true);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{cost}");
        assert_eq!(ours.is_ok(), cost <= 5, "{cost}");
    }
    // governor 0.10.4 multiplies without a check here.
    assert!(table.check(&Key::Bytes(b""), u32::MAX, 0).is_err());
    let never = table.check(&Key::Bytes(b""), 6, 0).unwrap_err();
    assert_eq!(never.to_string(), "a request of cost 6 never fits a burst of 5");
}
