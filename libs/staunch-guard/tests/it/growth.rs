//! Nothing grows, whoever asks for tokens or is counted: the reference's own tests, under the gate of zero growth.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::time::Duration;

use http::Method;
use staunch_guard::csrf::{StoreLimits, Verdict};
use staunch_guard::{Caller, Client, CsrfStore, Key, Limiter, Policy, PolicySet, Quota, Table};
use staunch_leak::{Options, no_growth};

const MINUTE: u64 = 60_000_000_000;

fn limits(sessions_max: usize) -> StoreLimits {
    StoreLimits { sessions_max, ..StoreLimits::default() }
}

/// Asks as a thousand clients that nobody has seen before, and says how many were let through.
fn a_thousand_callers(limiter: &Limiter, first: u32, now: u64) -> usize {
    let ask = |n: &u32| {
        let client = Client::new(Ipv4Addr::from(0x0a00_0000 + first + n).into());
        let caller = Caller { client: Some(client), ..Caller::new(&Method::POST) };
        limiter.check(&caller, 1, &|| now).unwrap().is_allowed()
    };
    (0..1_000).filter(ask).count()
}

staunch_leak::alone! {
    fn ground_g6_a_thousand_tokens_for_one_session() {
        let store = CsrfStore::new(limits(1_000)).unwrap();
        let seconds = Cell::new(0);
        let flat = no_growth(&Options::default(), || {
            seconds.set(seconds.get() + 1);
            let mut last = None;
            for _ in 0..1_000 {
                last = Some(store.issue(b"session", seconds.get()).unwrap());
            }
            let last = last.unwrap();
            assert_eq!(store.verify(b"session", last.as_bytes(), seconds.get()), Verdict::Valid);
            assert_eq!(store.live(b"session", seconds.get()), 5);
        });
        flat.unwrap();
        let stats = store.stats();
        assert_eq!((stats.sessions, stats.issued), (1, 23_000));
    }

    fn ground_g6_a_thousand_limiter_keys_checked_and_swept() {
        let limiter = Limiter::new(PolicySet::new(vec![Policy::login()]).unwrap()).unwrap();
        let round = Cell::new(0);
        let flat = no_growth(&Options::default(), || {
            let (first, now) = (round.get() * 1_000, u64::from(round.get()) * 10 * MINUTE);
            round.set(round.get() + 1);
            assert_eq!(a_thousand_callers(&limiter, first, now), 1_000);
            let live = |now| limiter.stats(now).map(|(_, stats)| stats.live).sum::<u64>();
            assert_eq!(live(now), 1_000);
            let later = now + 5 * MINUTE;
            assert_eq!(limiter.sweep(later, usize::MAX), 1_000);
            assert_eq!(live(later), 0);
        });
        flat.unwrap();
    }

    /// A sweep is courtesy: without one the table keeps its size too.
    fn ground_g6_limiter_keys_that_nobody_sweeps_do_not_grow() {
        let limiter = Limiter::new(PolicySet::new(vec![Policy::login()]).unwrap()).unwrap();
        let round = Cell::new(0);
        let flat = no_growth(&Options::default().rounds(50), || {
            a_thousand_callers(&limiter, round.get() * 1_000, u64::from(round.get()) * MINUTE);
            round.set(round.get() + 1);
        });
        flat.unwrap();
    }

    fn ground_g6_a_thousand_sessions_that_expire_are_swept() {
        let store = CsrfStore::new(limits(1_000)).unwrap();
        let day = Cell::new(0);
        let flat = no_growth(&Options::default(), || {
            let now = day.get() * 100_000;
            day.set(day.get() + 1);
            for n in 0..500u32 {
                store.issue(&n.to_le_bytes(), now).unwrap();
            }
            assert_eq!(store.sweep(now + 90_000, usize::MAX), 500);
            assert_eq!(store.stats().sessions, 0);
        });
        flat.unwrap();
    }

    fn ground_g6_sessions_that_end_leave_nothing() {
        let store = CsrfStore::new(limits(1_000)).unwrap();
        let flat = no_growth(&Options::default(), || {
            for n in 0..100u32 {
                let (before, after) = (n.to_le_bytes(), (n + 1_000).to_le_bytes());
                store.issue(&before, 1).unwrap();
                assert!(store.rotate(&before, &after));
                store.issue(&after, 1).unwrap();
                assert!(store.revoke(&after));
            }
        });
        flat.unwrap();
        assert_eq!(store.stats().sessions, 0);
    }
}

staunch_leak::test! {
    fn ground_g6_a_store_of_tokens_is_freed_with_its_sessions() {
        let store = CsrfStore::new(limits(10_000)).unwrap();
        for n in 0..1_000u32 {
            store.current(&n.to_le_bytes(), 1).unwrap();
        }
    }

    fn ground_g6_a_table_is_freed_with_its_keys() {
        let table = Table::new("flood", Quota::new(5, Duration::from_secs(60)).unwrap(), 64).unwrap();
        for n in 0..10_000u32 {
            table.check(&Key::Bytes(&n.to_le_bytes()), 1, 1_000).unwrap();
        }
    }
}
