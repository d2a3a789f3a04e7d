//! Each reservation refused in turn: whatever was taken before is given back.

use staunch_bounded::{Budget, ByteRing, OverBudget};
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
