//! Tests of budgets.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::{Budget, Charge, OverBudget};

#[test]
fn below_at_and_over_the_limit_and_back_to_zero() {
    let budget = Budget::root("b", 100);
    for (asked, granted) in [(99, true), (100, true), (101, false), (u64::MAX, false)] {
        let charge = budget.try_reserve(asked);
        assert_eq!(charge.is_ok(), granted, "{asked}");
        assert_eq!(budget.used(), if granted { asked } else { 0 });
        drop(charge);
        assert_eq!(budget.used(), 0);
    }
    assert_eq!((budget.peak(), budget.refused(), budget.available()), (100, 2, 100));
}

#[test]
fn a_refusal_says_who_refused_what() {
    let process = Budget::root("process", 100);
    let run = Budget::child("run", 80, &process);
    let held = process.try_reserve(50).unwrap();
    let refused = run.try_reserve(60).unwrap_err();
    assert_eq!(refused, OverBudget { budget: "process", limit: 100, used: 50, asked: 60, above: 1 });
    assert_eq!(refused.to_string(), "budget process is full: 50 of 100 bytes in use, 60 asked for");
    assert!(refused.could_fit());
    assert_eq!((run.used(), process.used(), run.available()), (0, 50, 50));
    let refused = run.try_reserve(81).unwrap_err();
    assert_eq!((refused.budget, refused.above, refused.could_fit()), ("run", 0, false));
    assert_eq!((run.refused(), process.refused()), (1, 1));
    assert!(Arc::ptr_eq(run.parent().unwrap(), held.budget()));
}

#[test]
fn a_lower_limit_lets_go_only_of_what_is_paid_back() {
    let budget = Budget::root("b", 100);
    let mut held = budget.try_reserve(80).unwrap();
    budget.set_limit(50);
    assert!(held.grow(1).is_err());
    assert_eq!((held.bytes(), budget.used(), budget.available()), (80, 80, 0));
    held.shrink_to(49);
    held.grow(1).unwrap();
    assert!(held.grow(1).is_err());
}

#[test]
fn many_threads_never_pass_the_limit_and_leave_nothing() {
    let process = Budget::root("process", 1_000);
    let runs = [Budget::child("one", 600, &process), Budget::child("two", 600, &process)];
    thread::scope(|scope| {
        for n in 0..4u64 {
            let (process, runs) = (&process, &runs);
            scope.spawn(move || {
                let mut held: Vec<Charge> = Vec::new();
                for i in 0..20_000u64 {
                    let bytes = (i * 7919 + n * 104_729) % 300;
                    match runs[(i + n) as usize % 2].try_reserve(bytes) {
                        Ok(charge) => held.push(charge),
                        Err(_) => held.clear(),
                    }
                    if held.len() > 5 {
                        drop(held.swap_remove(i as usize % 5));
                    }
                    assert!(process.used() <= 1_000 && runs[0].used() <= 600 && runs[1].used() <= 600);
                }
            });
        }
    });
    assert_eq!((process.used(), runs[0].used(), runs[1].used()), (0, 0, 0));
    assert!(process.peak() <= 1_000 && process.peak() > 600, "{}", process.peak());
}

#[derive(Clone, Debug)]
enum Act {
    Reserve(bool, u64),
    Grow(usize, u64),
    Shrink(usize, u64),
    Split(usize, u64),
    Merge(usize, usize),
    Drop(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (any::<bool>(), 0u64..60).prop_map(|(child, n)| Act::Reserve(child, n)),
        1 => (0usize..8, 0u64..60).prop_map(|(i, n)| Act::Grow(i, n)),
        1 => (0usize..8, 0u64..60).prop_map(|(i, n)| Act::Shrink(i, n)),
        1 => (0usize..8, 0u64..60).prop_map(|(i, n)| Act::Split(i, n)),
        1 => (0usize..8, 0usize..8).prop_map(|(i, j)| Act::Merge(i, j)),
        1 => (0usize..8).prop_map(Act::Drop),
    ]
}

proptest! {
    /// The counts are the sums of what is held, whatever is done with the charges.
    #[test]
    fn counts_are_the_sums_of_charges(acts in prop::collection::vec(act(), 0..60)) {
        let parent = Budget::root("parent", 150);
        let child = Budget::child("child", 100, &parent);
        let mut held: Vec<(bool, Charge)> = Vec::new();
        for act in acts {
            match act {
                Act::Reserve(of_child, n) => {
                    let fits = n <= if of_child { child.available() } else { parent.available() };
                    let got = if of_child { child.try_reserve(n) } else { parent.try_reserve(n) };
                    prop_assert_eq!(got.is_ok(), fits);
                    held.extend(got.ok().map(|charge| (of_child, charge)));
                }
                Act::Grow(i, n) => if let Some((_, charge)) = held.get_mut(i) {
                    let (before, fits) = (charge.bytes(), n <= charge.budget().available());
                    prop_assert_eq!(charge.grow(n).is_ok(), fits);
                    prop_assert_eq!(charge.bytes(), if fits { before + n } else { before });
                },
                Act::Shrink(i, n) => if let Some((_, charge)) = held.get_mut(i) {
                    let before = charge.bytes();
                    charge.shrink_to(n);
                    prop_assert_eq!(charge.bytes(), before.min(n));
                },
                Act::Split(i, n) => if let Some((of_child, charge)) = held.get_mut(i) {
                    let (of_child, n) = (*of_child, n.min(charge.bytes()));
                    let part = charge.split(n);
                    prop_assert_eq!(part.bytes(), n);
                    held.push((of_child, part));
                },
                Act::Merge(i, j) => if i != j && i < held.len() && j < held.len() && held[i].0 == held[j].0 {
                    let (last, first) = (i.max(j), i.min(j));
                    let (_, other) = held.remove(last);
                    held[first].1.merge(other);
                },
                Act::Drop(i) => if i < held.len() {
                    drop(held.swap_remove(i));
                },
            }
            let sum = |only_child: bool| -> u64 {
                held.iter().filter(|(of_child, _)| *of_child || !only_child).map(|(_, charge)| charge.bytes()).sum()
            };
            prop_assert_eq!((child.used(), parent.used()), (sum(true), sum(false)));
            prop_assert!(child.peak() <= 100 && parent.peak() <= 150);
        }
        drop(held);
        prop_assert_eq!((child.used(), parent.used()), (0, 0));
    }
}

#[test]
fn a_budget_that_closes_with_a_rest_is_counted_and_panics_where_assertions_are_on() {
    let budget = Budget::root("short", 100);
    // No charge can do this, unless there is a bug.
    budget.used.store(7, std::sync::atomic::Ordering::Relaxed);
    let closed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(budget)));
    assert_eq!(closed.is_err(), cfg!(debug_assertions));
    assert_eq!(Budget::rest_bytes(), 7);
}
