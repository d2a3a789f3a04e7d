//! Each reservation refused in turn: whatever was taken before is given back.

use std::time::Duration;

use staunch_bounded::{Bounds, Budget, ByteRing, OverBudget, Policy, TtlMap};
use staunch_leak::Options;
use staunch_leak::fault::{Manners, all_faults};

staunch_leak::alone! {
    fn ground_g6_whatever_reservation_fails_all_others_are_paid_back() {
        std::panic::set_hook(Box::new(|_| {}));
        let process = Budget::root("process", 10_000);
        let swept = all_faults(&Options::default().budget(&process), Manners::default(), || {
            let run = Budget::child("run", 1_000, &process);
            let mut charges = Vec::new();
            for _ in 0..10 {
                charges.push(run.try_reserve(10)?);
            }
            charges[3].grow(50)?;
            Ok::<(), OverBudget>(())
        });
        assert_eq!(swept.unwrap().points, 11);
        assert_eq!(process.used(), 0);
    }

    /// Entries hold the charges that pay for them: what is evicted, replaced or swept pays back, wherever the next one is refused.
    fn ground_g6_a_map_of_charged_entries_pays_back_wherever_one_is_refused() {
        std::panic::set_hook(Box::new(|_| {}));
        let process = Budget::root("process", 10_000);
        let bounds = Bounds { entries_max: 5, bytes_max: 1_000, age_max: Duration::from_secs(60) };
        let swept = all_faults(&Options::default().budget(&process), Manners::default(), || {
            let mut map = TtlMap::new("sessions", bounds, Policy::EvictOldest);
            for n in 0..12u64 {
                let charge = process.try_reserve(100)?;
                map.insert(n % 8, (vec![0u8; 100], charge), 100, Duration::from_secs(n)).expect("the oldest make room");
                assert_eq!(process.used(), map.bytes(), "an entry and its charge go together");
            }
            map.sweep(Duration::from_secs(65), usize::MAX);
            assert_eq!(process.used(), map.bytes());
            Ok::<(), OverBudget>(())
        });
        assert_eq!(swept.unwrap().points, 12);
        assert_eq!(process.used(), 0);
    }

    /// A ring never fails: it asks for less, and keeps less. So one refusal may go unseen; what must not be is that bytes stay
    /// charged, or that a budget which refuses for ever is passed.
    fn ground_g6_a_ring_whose_budget_refuses_keeps_less_and_pays_back() {
        std::panic::set_hook(Box::new(|_| {}));
        let budget = Budget::root("captures", 10_000);
        let manners = Manners { may_recover: true, ..Manners::default() };
        let swept = all_faults(&Options::default().budget(&budget), manners, || {
            let mut ring = ByteRing::charged(1_000, 1_000, &budget);
            for _ in 0..30 {
                ring.push(&[1; 100]);
            }
            assert_eq!(budget.used(), ring.allocated() as u64);
            if ring.len() == 2_000 { Ok(()) } else { Err("it kept less") }
        });
        assert!(swept.unwrap().points > 0);
        assert_eq!(budget.used(), 0);
    }
}
