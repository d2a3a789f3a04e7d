use std::sync::Arc;

use super::*;
use crate::rate::set::Slots;

/// The model checker's lock.
struct Modelled(shuttle::sync::Mutex<Slots>);

impl Latch for Modelled {
    fn empty() -> Self {
        Self(shuttle::sync::Mutex::new(Slots::default()))
    }

    fn with<R>(&self, on: impl FnOnce(&mut Slots) -> R) -> R {
        on(&mut self.0.lock().unwrap_or_else(|_| panic!("no thread of a model panics")))
    }
}

const KEY: Key<'static> = Key::Bytes(b"one");

fn sets<L: Latch>(burst: u32) -> Arc<Sets<L>> {
    let quota = Quota::with_burst(1, Duration::from_secs(1), burst).unwrap_or_else(|error| panic!("{error}"));
    Arc::new(Sets::new("model", quota, 1, [1, 2]))
}

fn check<L: Latch>(sets: &Sets<L>, key: &Key<'_>, now: u64) -> Option<Receipt> {
    match sets.check(key, 1, now) {
        Ok(Decision::Allow(allowed)) => Some(allowed.receipt()),
        _ => None,
    }
}

/// All schedules of two threads (depth first; there are few).
#[test]
fn ground_g4_two_threads_at_first_use_get_one() {
    shuttle::check_dfs(
        || {
            let sets = sets::<Modelled>(1);
            let other = Arc::clone(&sets);
            let thread = shuttle::thread::spawn(move || check(&other, &KEY, 0).is_some());
            let here = check(&sets, &KEY, 0).is_some();
            let there = thread.join().unwrap_or_else(|_| panic!("no thread of a model panics"));
            assert!(here ^ there, "exactly one is admitted");
            let stats = sets.stats(0);
            assert_eq!((stats.live, stats.admitted, stats.denied), (1, 1, 1), "in exactly one slot");
        },
        None,
    );
}

/// Charges, a refund, a reset and a sweep on one key by three threads: never more than the burst and what was given back.
#[test]
fn any_schedule_keeps_the_quota() {
    shuttle::check_random(
        || {
            let sets = sets::<Modelled>(2);
            let threads: Vec<_> = (0..3)
                .map(|at| {
                    let sets = Arc::clone(&sets);
                    shuttle::thread::spawn(move || {
                        let receipt = check(&sets, &KEY, 0);
                        let refunded = at == 0 && receipt.as_ref().is_some_and(|receipt| sets.refund(receipt, || 0));
                        sets.sweep(0, 1);
                        (usize::from(receipt.is_some()), usize::from(refunded))
                    })
                })
                .collect();
            let done = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panic!("it panicked")));
            let (admitted, refunded) = done.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            assert!((2..=2 + refunded).contains(&admitted), "{admitted} with {refunded} given back");
        },
        2_000,
    );
}

#[test]
fn a_poisoned_lock_goes_on() {
    let sets = sets::<Set>(1);
    let other = Arc::clone(&sets);
    let panicked = std::thread::spawn(move || other.poke(&KEY, |_| panic!("on purpose"))).join();
    assert!(panicked.is_err());
    assert!(check(&sets, &KEY, 0).is_some() && check(&sets, &KEY, 0).is_none());
}

#[test]
fn slices_of_a_sweep_come_round() {
    let quota = Quota::new(1, Duration::from_secs(1)).unwrap_or_else(|error| panic!("{error}"));
    let sets: Sets = Sets::new("slices", quota, 8, [1, 2]);
    let fill = || (0..100_u32).filter(|at| check(&sets, &Key::Bytes(&at.to_le_bytes()), 0).is_some()).count();
    // Eight buckets a set: seven slots and the floor.
    assert_eq!((fill(), sets.stats(0).live), (64, 56));
    let late = 1_000_000_000;
    assert_eq!((sets.sweep(late - 1, 99), sets.sweep(late, 0)), (0, 0));
    assert_eq!([3, 3, 3, 3].map(|count| sets.sweep(late, count)), [21, 21, 14, 0]);
}
