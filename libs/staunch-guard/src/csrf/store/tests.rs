//! Tests of the store.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::sync::{Arc, Barrier};

use proptest::prelude::*;
use staunch_bounded::Census;

use super::*;
use crate::csrf::fakes::{Broken, Numbers};

const DAY: u32 = TTL_SECONDS;

fn store(sessions_max: usize, ttl_seconds: u32, policy: Policy) -> CsrfStore<Numbers> {
    let numbers = std::cell::Cell::new(0u64);
    // Each shard begins to count where no other comes.
    let limits = StoreLimits { sessions_max, ttl_seconds, policy };
    CsrfStore::with_random(limits, [7; 16], || {
        let random = Numbers::from(numbers.get());
        numbers.set(numbers.get() + (1 << 40));
        Ok(random)
    })
    .unwrap()
}

fn touched<R>(store: &CsrfStore<R>) -> u64 {
    store.shelves.iter().map(|shelf| shelf.shard().touched()).sum()
}

/// S1: ids that are parts of each other, hold a separator, are empty or huge, are all sessions of their own.
#[test]
fn s1_sessions_are_isolated_whatever_their_ids_are() {
    let store = store(1000, DAY, Policy::Refuse);
    let huge = vec![b'a'; 1 << 20];
    let mut other = huge.clone();
    other[(1 << 20) - 1] = b'b';
    let ids: [&[u8]; 9] = [b"a", b"ab", b"a:b", b"a:", b"b", b"", b"\0", &huge, &other];
    let tokens: Vec<Token> = ids.iter().map(|id| store.issue(id, 0).unwrap()).collect();
    for (i, id) in ids.iter().enumerate() {
        for (k, token) in tokens.iter().enumerate() {
            let expected = if i == k { Verdict::Valid } else { Verdict::Invalid };
            assert_eq!(store.verify(id, token.as_bytes(), 0), expected);
        }
    }
    assert!(store.revoke(b"a"));
    assert_eq!(store.verify(b"ab", tokens[1].as_bytes(), 0), Verdict::Valid);
    // A megabyte of id takes no more room than none.
    assert!(store.stats().bytes <= store.stats().bytes_max);
}

/// S6 (with trap 17): revoking kills all tokens at once, and is the same done twice.
#[test]
fn s6_revoke_kills_all_and_is_idempotent() {
    let store = store(10, DAY, Policy::Refuse);
    let tokens: Vec<Token> = (0..5).map(|_| store.issue(b"a", 0).unwrap()).collect();
    assert_eq!(store.live(b"a", 0), 5);
    assert_eq!((store.revoke(b"a"), store.revoke(b"a"), store.revoke(b"never")), (true, false, false));
    for token in &tokens {
        assert_eq!(store.verify(b"a", token.as_bytes(), 0), Verdict::Invalid);
    }
    assert_eq!((store.live(b"a", 0), store.stats().sessions), (0, 0));
}

/// S7 (with trap 21): after login, tokens of before are dead under both ids, also those planted under the new one.
#[test]
fn s7_rotate_leaves_nothing_of_before() {
    let store = store(10, DAY, Policy::Refuse);
    let before = store.issue(b"old", 0).unwrap();
    let planted = store.issue(b"new", 0).unwrap();
    assert!(store.rotate(b"old", b"new"));
    for id in [b"old", b"new"] {
        for token in [&before, &planted] {
            assert_eq!(store.verify(id, token.as_bytes(), 0), Verdict::Invalid);
        }
    }
    assert!(!store.rotate(b"old", b"new"));
    let after = store.current(b"new", 0).unwrap();
    assert_eq!(store.verify(b"new", after.as_bytes(), 0), Verdict::Valid);
    assert!(store.rotate(b"new", b"new"));
    assert_eq!(store.stats().sessions, 0);
}

/// S8: sixteen threads at one session, and at sixteen that are revoked and rotated meanwhile.
#[test]
fn s8_sixteen_threads_never_see_more_than_five_live() {
    let store = CsrfStore::new(StoreLimits { sessions_max: 64, ..StoreLimits::default() }).unwrap();
    let start = Barrier::new(16);
    std::thread::scope(|scope| {
        for thread in 0..16u8 {
            let (store, start) = (&store, &start);
            scope.spawn(move || {
                start.wait();
                for turn in 0..500u32 {
                    store.issue(b"one", turn).unwrap();
                    assert!((1..=5).contains(&store.live(b"one", turn)));
                    let own = [thread];
                    let token = store.current(&own, turn).unwrap();
                    assert_eq!(store.verify(&own, token.as_bytes(), turn), Verdict::Valid);
                    match turn % 7 {
                        0 => assert!(store.revoke(&own)),
                        1 => assert!(store.rotate(&own, &own)),
                        2 => assert_eq!(store.sweep(turn, 10), 0),
                        _ => {}
                    }
                }
            });
        }
    });
    let stats = store.stats();
    assert!(stats.sessions <= 17 && stats.bytes <= stats.bytes_max);
    assert_eq!(stats.refused + stats.evicted, 0);
}

/// S9: a million sessions pass through a store for 65,536; it stays within both bounds and evicts the rest.
#[test]
fn s9_a_million_sessions_stay_within_the_bounds() {
    let store = CsrfStore::new(StoreLimits::default()).unwrap();
    for i in 0..1_000_000u32 {
        store.issue(&i.to_le_bytes(), i / 100).unwrap();
        if i % 50_000 == 0 {
            let stats = store.stats();
            assert!(stats.sessions <= stats.sessions_max && stats.bytes <= stats.bytes_max);
        }
    }
    let stats = store.stats();
    // Every shard is full after so many.
    assert_eq!((stats.sessions, stats.evicted, stats.expired), (65_536, 1_000_000 - 65_536, 0));
    assert!(stats.bytes <= stats.bytes_max);
    // 132 bytes in the slab, 6 in the index, and what 64 shards need to be.
    assert!(stats.bytes / stats.sessions <= 141, "{} bytes", stats.bytes);
    assert_eq!(store.sweep(10_000 + DAY, usize::MAX), 65_536);
    assert_eq!(store.stats().bytes, size_of_val(&*store.shelves) as u64);
}

/// S10: an issue looks at as many entries among 100,000 sessions as among 100. (The time is in `bench csrf`.)
#[test]
fn s10_issue_takes_as_many_steps_at_100k_sessions_as_at_100() {
    let steps = |sessions: u32| {
        let store = store(sessions as usize * 2, DAY, Policy::Refuse);
        for i in 0..sessions {
            store.issue(&i.to_le_bytes(), 0).unwrap();
        }
        let before = touched(&store);
        for i in 0..100u32 {
            store.issue(&(i * 7919 % sessions).to_le_bytes(), 1).unwrap();
        }
        touched(&store) - before
    };
    let (few, many) = (steps(100), steps(100_000));
    assert!(few <= 400 && many <= 2 * few, "{few} and {many} entries for 100 issues");
}

/// S11: a sweep looks at what it takes out, and at one more a shard; a second one takes out nothing.
#[test]
fn s11_a_sweep_costs_what_it_takes_out() {
    let store = store(20_000, 100, Policy::Refuse);
    for i in 0..10_000u32 {
        store.issue(&i.to_le_bytes(), if i < 300 { 0 } else { 50 }).unwrap();
    }
    let before = touched(&store);
    assert_eq!(store.sweep(100, usize::MAX), 300);
    let steps = touched(&store) - before;
    assert!(steps <= 300 * 12 + 64 * 2, "{steps} entries for 300");
    let before = touched(&store);
    assert_eq!(store.sweep(100, usize::MAX), 0);
    assert!(touched(&store) - before <= 64);
    assert_eq!((store.stats().sessions, store.stats().expired), (9_700, 300));
}

/// S14: verifying neither extends a life, nor moves a session in the list, nor allocates, nor makes an entry.
#[test]
fn s14_verify_changes_nothing() {
    let store = store(2, 100, Policy::EvictOldest);
    let old = store.issue(b"old", 0).unwrap();
    store.issue(b"young", 1).unwrap();
    let before = store.stats();
    for now in 0..100 {
        assert_eq!(store.verify(b"old", old.as_bytes(), now), Verdict::Valid);
        assert_eq!(store.verify(b"nobody", old.as_bytes(), now), Verdict::Invalid);
    }
    assert_eq!(store.stats(), before);
    assert_eq!(store.verify(b"old", old.as_bytes(), 99), Verdict::Valid);
    // `old` was asked for often and last, and is still the one that goes.
    store.issue(b"third", 99).unwrap();
    assert_eq!((store.live(b"old", 99), store.live(b"young", 99)), (0, 1));
}

/// Randomness that is counted while it lives.
struct Watched {
    _alive: Arc<()>,
}

impl Random for Watched {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        SystemRandom.fill(bytes)
    }
}

/// S16: there is no task to stop: after any use the owner holds the only handle, and dropping it frees every part.
#[test]
fn s16_dropping_the_store_frees_all_and_there_is_no_task() {
    let (alive, census) = (Arc::new(()), Census::default());
    let store =
        CsrfStore::with_random(StoreLimits::default(), [0; 16], || Ok(Watched { _alive: Arc::clone(&alive) })).unwrap();
    let store = Arc::new(store);
    census.register(&store);
    for i in 0..1000u32 {
        store.issue(&i.to_le_bytes(), 0).unwrap();
    }
    store.sweep(DAY, 10);
    assert_eq!((Arc::strong_count(&store), Arc::strong_count(&alive)), (1, 1 + SHARDS_MAX));
    assert_eq!(census.counts()[0].entries, Some((990, SESSIONS_MAX as u64)));
    drop(store);
    assert_eq!((Arc::strong_count(&alive), census.counts().len()), (1, 0));
}

/// S17, and S18: a source that fails is an error, at start and later; nothing is held for it.
#[test]
fn s17_s18_debug_is_silent_and_a_failing_source_is_an_error() {
    let limits = StoreLimits::default();
    assert!(CsrfStore::with_random(limits, [0; 16], || Err::<Broken, _>(NoRandom)).is_err());
    let broken = CsrfStore::with_random(limits, [9; 16], || Ok(Broken)).unwrap();
    assert_eq!(broken.issue(b"a", 0), Err(IssueError::NoRandom(NoRandom)));
    assert_eq!(broken.current(b"a", 0), Err(IssueError::NoRandom(NoRandom)));
    assert_eq!(broken.stats().sessions, 0);
    let shown = format!("{broken:?}");
    assert_eq!(shown, format!("CsrfStore {{ limits: {limits:?}, .. }}"));
}

/// G1: a thousand tokens for one session: five live, and memory as after the first.
#[test]
fn ground_g1_a_thousand_tokens_take_the_memory_of_one() {
    let store = store(SESSIONS_MAX, DAY, Policy::EvictOldest);
    let first = store.issue(b"a", 0).unwrap();
    let bytes = store.stats().bytes;
    let mut last = first.clone();
    for n in 1..1000 {
        last = store.issue(b"a", n).unwrap();
    }
    let stats = store.stats();
    assert_eq!((store.live(b"a", 999), stats.sessions, stats.bytes, stats.issued), (5, 1, bytes, 1000));
    assert_eq!(store.verify(b"a", first.as_bytes(), 999), Verdict::Invalid);
    assert_eq!(store.verify(b"a", last.as_bytes(), 999), Verdict::Valid);
}

/// G2: after 24 hours a token is dead at reading, swept or not; a sweep takes out what is dead, a second one nothing; and
/// without any sweep, issues alone take it out.
#[test]
fn ground_g2_tokens_die_after_24_hours_and_are_swept_at_their_cost() {
    let full = |store: &CsrfStore<Numbers>| {
        let tokens: Vec<Token> = (0..1000u32).map(|i| store.issue(&i.to_le_bytes(), 0).unwrap()).collect();
        tokens
    };
    let swept = store(4000, DAY, Policy::Refuse);
    let tokens = full(&swept);
    for (now, verdict) in [(DAY - 1, Verdict::Valid), (DAY, Verdict::Expired)] {
        for (i, token) in (0..1000u32).zip(&tokens) {
            assert_eq!(swept.verify(&i.to_le_bytes(), token.as_bytes(), now), verdict);
        }
    }
    assert_eq!((swept.stats().sessions, swept.live(&7u32.to_le_bytes(), DAY)), (1000, 0));
    // An hour later the owner sweeps, in slices.
    assert_eq!((swept.sweep(DAY + 3600, 400), swept.sweep(DAY + 3600, 0)), (400, 0));
    assert_eq!((swept.sweep(DAY + 3600, usize::MAX), swept.sweep(DAY + 3600, usize::MAX)), (600, 0));
    assert_eq!((swept.stats().sessions, swept.stats().expired), (0, 1000));
    assert_eq!(swept.verify(&7u32.to_le_bytes(), tokens[7].as_bytes(), DAY + 3600), Verdict::Invalid);

    let unswept = store(8000, DAY, Policy::Refuse);
    full(&unswept);
    for i in 0..2000u32 {
        unswept.issue(&(1_000_000 + i).to_le_bytes(), DAY).unwrap();
    }
    assert_eq!((unswept.stats().sessions, unswept.stats().expired), (2000, 1000));
}

/// G4: a store is built before it is used and is nobody else's: two built at once know nothing of each other.
#[test]
fn ground_g4_two_stores_built_at_once_share_nothing() {
    let start = Barrier::new(8);
    let stores: Vec<CsrfStore> = std::thread::scope(|scope| {
        let build = || {
            start.wait();
            CsrfStore::new(StoreLimits { sessions_max: 64, ..StoreLimits::default() }).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(build)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let keys: HashSet<(u64, u64)> = stores.iter().map(|store| store.keys).collect();
    assert_eq!(keys.len(), 8);
    let token = stores[0].issue(b"a", 0).unwrap();
    for (i, store) in stores.iter().enumerate() {
        let expected = if i == 0 { Verdict::Valid } else { Verdict::Invalid };
        assert_eq!(store.verify(b"a", token.as_bytes(), 0), expected);
        assert_eq!(store.stats().sessions, u64::from(i == 0));
    }
}

#[test]
fn sessions_below_at_and_over_the_bound_and_back_to_zero() {
    for policy in [Policy::Refuse, Policy::EvictOldest] {
        let store = store(3, 100, policy);
        for n in 0..3u8 {
            store.issue(&[n], u32::from(n)).unwrap();
            assert_eq!(store.stats().sessions, u64::from(n) + 1);
        }
        // The first was issued another, so the second is the oldest now.
        store.issue(&[0], 5).unwrap();
        let fourth = store.issue(&[3], 6).map(drop);
        let live: Vec<usize> = (0..4u8).map(|n| store.live(&[n], 6)).collect();
        let stats = store.stats();
        if policy == Policy::Refuse {
            assert_eq!((fourth, live), (Err(IssueError::Full), vec![2, 1, 1, 0]));
            assert_eq!((stats.refused, stats.evicted), (1, 0));
            // Room that is only taken by the dead is room.
            assert_eq!(store.issue(&[3], 101).map(drop), Ok(()));
        } else {
            assert_eq!((fourth, live), (Ok(()), vec![2, 0, 1, 1]));
            assert_eq!((stats.refused, stats.evicted), (0, 1));
        }
        store.sweep(1000, usize::MAX);
        assert_eq!((store.stats().sessions, store.stats().bytes), (0, size_of_val(&*store.shelves) as u64));
    }
}

#[test]
fn any_number_of_sessions_is_brought_into_the_range_and_the_shards_add_up() {
    for (asked, held) in [(0, 1), (1, 1), (63, 63), (64, 64), (129, 129), (65_537, 65_537), (usize::MAX, 4_194_176)] {
        let store = store(asked, DAY, Policy::Refuse);
        assert_eq!((store.limits().sessions_max, store.stats().sessions_max), (held, held as u64));
    }
    let store = store(130, DAY, Policy::Refuse);
    assert_eq!(store.shelves.len(), 2);
    // Each shard is filled to its part: together the bound, exactly.
    let held = (0..2000u32).filter(|i| store.issue(&i.to_le_bytes(), 0).is_ok()).count();
    assert_eq!((held, store.stats().sessions), (130, 130));
}

/// A clock that goes back: nobody is revived, and the list stays in order.
#[test]
fn s5_a_clock_that_goes_back_revives_nobody() {
    let store = store(10, 100, Policy::Refuse);
    let token = store.issue(b"a", 0).unwrap();
    assert_eq!(store.verify(b"a", token.as_bytes(), 100), Verdict::Expired);
    assert_eq!(store.verify(b"a", token.as_bytes(), 1), Verdict::Expired);
    store.issue(b"b", 0).unwrap();
    assert_eq!((store.live(b"b", 0), store.live(b"b", 199), store.live(b"b", 200)), (1, 1, 0));
    assert_eq!(store.sweep(u32::MAX, 10), 1);
}

#[derive(Clone, Debug)]
enum Act {
    Issue(u8),
    Current(u8),
    Revoke(u8),
    Rotate(u8, u8),
    Sweep(usize),
    Wait(u32),
}

fn act() -> impl Strategy<Value = Act> {
    let id = 0..6u8;
    prop_oneof![
        6 => id.clone().prop_map(Act::Issue),
        4 => id.clone().prop_map(Act::Current),
        1 => id.clone().prop_map(Act::Revoke),
        1 => (id.clone(), id).prop_map(|(old, new)| Act::Rotate(old, new)),
        1 => (0..4usize).prop_map(Act::Sweep),
        4 => (0..30u32).prop_map(Act::Wait),
    ]
}

/// The tokens of each secret, and when it was issued.
type Secrets = Vec<(Vec<Token>, u32)>;

/// What the store must be: sessions in the order of their last issue, each with its tokens of the last five secrets.
#[derive(Default)]
struct Model {
    sessions: Vec<(u8, Secrets)>,
    gone: Vec<(u8, Token)>,
}

impl Model {
    fn forget(&mut self, id: u8) {
        if let Some(at) = self.sessions.iter().position(|(other, _)| *other == id) {
            let (id, secrets) = self.sessions.remove(at);
            self.gone.extend(secrets.into_iter().flat_map(|(tokens, _)| tokens).map(|token| (id, token)));
        }
    }

    fn pop(&mut self, now: u32, ttl: u32, max: usize) -> usize {
        let mut popped = 0;
        while popped < max
            && let Some((id, secrets)) = self.sessions.first()
            && now - secrets.last().unwrap().1 >= ttl
        {
            self.forget(*id);
            popped += 1;
        }
        popped
    }

    /// Whether there is room, made by eviction if need be.
    fn admit(&mut self, id: u8, max: usize, evicts: bool) -> bool {
        if self.sessions.iter().any(|(other, _)| *other == id) {
            let at = self.sessions.iter().position(|(other, _)| *other == id).unwrap();
            let session = self.sessions.remove(at);
            self.sessions.push(session);
            return true;
        }
        if self.sessions.len() == max {
            if !evicts {
                return false;
            }
            self.forget(self.sessions[0].0);
        }
        self.sessions.push((id, Vec::new()));
        true
    }
}

proptest! {
    #[test]
    fn a_store_is_a_list_of_sessions(
        acts in prop::collection::vec(act(), 1..120), evicts in any::<bool>(), ttl in 2..60u32, max in 1..5usize,
    ) {
        let policy = if evicts { Policy::EvictOldest } else { Policy::Refuse };
        let store = store(max, ttl, policy);
        let (mut model, mut now) = (Model::default(), 0);
        for act in acts {
            match act {
                Act::Issue(id) | Act::Current(id) => {
                    let issues = matches!(act, Act::Issue(_));
                    let given = if issues { store.issue(&[id], now) } else { store.current(&[id], now) };
                    let young = model.sessions.iter_mut().find(|(other, _)| *other == id)
                        .and_then(|(_, secrets)| secrets.last_mut())
                        .filter(|(_, issued)| !issues && now - *issued < ttl / 2);
                    if let Some((tokens, _)) = young {
                        tokens.push(given.unwrap());
                    } else {
                        model.pop(now, ttl, 2);
                        let fits = model.admit(id, max, evicts);
                        prop_assert_eq!(given.is_ok(), fits);
                        if let Ok(token) = given {
                            let secrets = &mut model.sessions.last_mut().unwrap().1;
                            secrets.push((vec![token], now));
                            if secrets.len() > 5 {
                                let (tokens, _) = secrets.remove(0);
                                model.gone.extend(tokens.into_iter().map(|token| (id, token)));
                            }
                        }
                    }
                }
                Act::Revoke(id) => {
                    let held = model.sessions.iter().any(|(other, _)| *other == id);
                    prop_assert_eq!(store.revoke(&[id]), held);
                    model.forget(id);
                }
                Act::Rotate(old, new) => {
                    store.rotate(&[old], &[new]);
                    model.forget(old);
                    model.forget(new);
                }
                Act::Sweep(most) => prop_assert_eq!(store.sweep(now, most), model.pop(now, ttl, most)),
                Act::Wait(seconds) => now += seconds,
            }
            let stats = store.stats();
            prop_assert_eq!(stats.sessions, model.sessions.len() as u64);
            prop_assert!(stats.bytes <= stats.bytes_max);
            for (id, secrets) in &model.sessions {
                for (tokens, issued) in secrets {
                    let verdict = if now - issued < ttl { Verdict::Valid } else { Verdict::Expired };
                    for token in tokens {
                        prop_assert_eq!(store.verify(&[*id], token.as_bytes(), now), verdict);
                    }
                }
            }
            for (id, token) in &model.gone {
                prop_assert_eq!(store.verify(&[*id], token.as_bytes(), now), Verdict::Invalid);
            }
        }
    }
}
