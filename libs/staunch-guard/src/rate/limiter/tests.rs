use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use staunch_bounded::Census;

use super::*;
use crate::rate::policy::Callers;
use crate::rate::quota::Quota;

fn limiter(policies: Vec<Policy>) -> Limiter {
    PolicySet::new(policies).and_then(Limiter::new).unwrap_or_else(|error| panic!("{error}"))
}

fn policy(name: &str, key: KeyKind, count: u32) -> Policy {
    let quota = Quota::new(count, std::time::Duration::from_secs(60)).unwrap_or_else(|error| panic!("{error}"));
    // So many sets that the few keys of a test practically never fill one.
    Policy { key, sets: 1_024, ..Policy::new(name, quota) }
}

fn login<'a>(account: &'a [u8], address: [u8; 4]) -> Caller<'a> {
    let client = Some(Client::new(address.into()));
    Caller { client, account: Some(account), ..Caller::new(&Method::POST) }
}

fn allowed(limiter: &Limiter, caller: &Caller<'_>) -> bool {
    limiter.check(caller, 1, &|| 0).is_ok_and(|ruling| ruling.is_allowed())
}

#[test]
fn an_account_is_guarded_wherever_attempts_come_from() {
    let limiter = limiter(vec![policy("client", KeyKind::Client, 5), policy("account", KeyKind::Account, 10)]);
    let admitted = (0..40_u8).filter(|at| allowed(&limiter, &login(b"alice", [192, 0, 2, *at]))).count();
    assert_eq!(admitted, 10);
    assert!(allowed(&limiter, &login(b"bob", [192, 0, 2, 1])));
    // The thirty that the account denied cost their addresses nothing.
    assert!((0..5).all(|_| allowed(&limiter, &login(b"carol", [192, 0, 2, 39]))));
}

#[test]
fn what_did_not_count_is_given_back() {
    let limiter = limiter(vec![policy("client", KeyKind::Client, 5), policy("account", KeyKind::Account, 5)]);
    for _ in 0..100 {
        let ruling = limiter.check(&login(b"alice", [1; 4]), 1, &|| 0).unwrap_or_else(|error| panic!("{error}"));
        assert!(ruling.is_allowed());
        limiter.refund(ruling, &|| 0);
    }
    assert_eq!((0..10).filter(|_| allowed(&limiter, &login(b"alice", [1; 4]))).count(), 5);
    assert!(limiter.reset("client", &login(b"alice", [1; 4])));
    assert!(!allowed(&limiter, &login(b"alice", [1; 4])), "the account has none left");
    assert!(limiter.reset("account", &login(b"alice", [1; 4])));
    assert!(allowed(&limiter, &login(b"alice", [1; 4])));
    assert!(!limiter.reset("nothing", &login(b"alice", [1; 4])));
}

#[test]
fn a_denied_ruling_has_nothing_left_to_give_back() {
    let limiter = limiter(vec![policy("client", KeyKind::Client, 2), policy("account", KeyKind::Account, 1)]);
    for (account, admitted) in [(b"a", true), (b"a", false), (b"a", false), (b"b", true), (b"c", false)] {
        let ruling = limiter.check(&login(account, [1; 4]), 1, &|| 0).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(ruling.is_allowed(), admitted, "{account:?}");
        if !admitted {
            limiter.refund(ruling, &|| 0);
        }
    }
}

#[test]
fn one_time_for_all_policies_and_one_more_to_give_back() {
    let limiter = limiter(vec![policy("a", KeyKind::Client, 2), policy("b", KeyKind::Client, 1)]);
    let reads = AtomicU64::new(0);
    let clock = || {
        reads.fetch_add(1, Ordering::Relaxed);
        0
    };
    for (reads_before, reads_after) in [(0, 1), (1, 3)] {
        assert_eq!(reads.load(Ordering::Relaxed), reads_before);
        let _ruling = limiter.check(&login(b"", [1; 4]), 1, &clock).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reads.load(Ordering::Relaxed), reads_after);
    }
}

#[test]
fn a_cost_over_one_burst_charges_no_policy() {
    let dry = Policy { dry_run: true, ..policy("dry", KeyKind::Client, 1) };
    let limiter = limiter(vec![policy("a", KeyKind::Client, 10), dry, policy("b", KeyKind::Client, 3)]);
    let check = |cost| limiter.check(&login(b"", [1; 4]), cost, &|| 0).map(|ruling| ruling.is_allowed());
    assert_eq!(check(4), Err(NeverFits { cost: 4, burst: 3 }));
    assert_eq!((check(3), check(1)), (Ok(true), Ok(false)));
    let (_, first) = limiter.stats(0).next().unwrap_or_else(|| panic!("there are three"));
    assert_eq!(first.admitted, 3, "two of them were given back");
}

#[test]
fn callers_are_told_apart() {
    let anonymous = Policy { callers: Callers::Anonymous, ..policy("anonymous", KeyKind::Client, 1) };
    let token = Policy { callers: Callers::Authenticated, ..policy("token", KeyKind::Principal, 3) };
    let limiter = limiter(vec![anonymous, token]);
    let nobody = Caller { client: Some(Client::new([1; 4].into())), ..Caller::new(&Method::GET) };
    let somebody = Caller { principal: Some(b"token 7"), ..nobody };
    let count = |caller: &Caller<'_>| (0..9).filter(|_| allowed(&limiter, caller)).count();
    assert_eq!((count(&nobody), count(&somebody), count(&nobody)), (1, 3, 0));
}

#[test]
fn it_is_counted_as_one() {
    let limiter = Arc::new(limiter(vec![policy("a", KeyKind::Client, 1), policy("b", KeyKind::Client, 1)]));
    let census = Census::default();
    census.register(&limiter);
    let now = Cell::new(0);
    let count = || census.counts()[0];
    assert_eq!((count().name, count().entries), ("rate", Some((0, 14_336))));
    assert!(allowed(&limiter, &login(b"", [1; 4])));
    assert_eq!(count().entries, Some((2, 14_336)));
    assert_eq!(limiter.sweep(now.get(), usize::MAX), 0);
    now.set(60_000_000_000);
    assert_eq!(limiter.sweep(now.get(), usize::MAX), 2);
    assert_eq!((count().entries, count().expired, count().bytes), (Some((0, 14_336)), 2, count().bytes_max));
    drop(limiter);
    assert_eq!(census.counts().len(), 0);
}

#[test]
fn a_table_that_cannot_be_names_its_policy() {
    let set = PolicySet::new(vec![Policy { sets: 3, ..policy("odd", KeyKind::Client, 1) }]);
    let error = set.and_then(Limiter::new).map_or_else(|error| error.to_string(), |_| String::new());
    assert_eq!(error, "policy \"odd\": a table has a power of two of sets, at most 16777216, not 3");
}
