//! Workers and leases.

use std::time::Duration;

use staunch_store::{Incarnation, Renewal};

use super::subject::{LIMITS, Make, TTL};

const HELD: Renewal = Renewal::Held { kill: Vec::new() };

pub(crate) async fn joining_frees_what_the_dead_held(make: Make) {
    let s = make(LIMITS);
    let run = s.submit("w", &[0, 1, 2]).await;
    let dead = s.join().await;
    assert_eq!(s.claim(dead, 2).await.claimed.len(), 2);
    // Nobody joins while others live, except to a store that is locked: then they are dead. A shared store reaps first.
    s.advance(TTL);
    let reaped = s.store.reap(10).await.unwrap();
    let heir = Incarnation::generate();
    let freed = reaped + s.store.join(heir, TTL).await.unwrap();
    assert_eq!(freed, 2);
    assert!(s.attempts(run).await.iter().all(|a| a.due_at.is_some() && a.started_at.is_none()));
    let losses: Vec<_> = s.claim(heir, 10).await.claimed.iter().map(|c| (c.key.step.0, c.losses, c.epoch)).collect();
    // What was never claimed was due earlier than what was freed just now.
    assert_eq!(losses, [(2, 0, 1), (0, 1, 2), (1, 1, 2)]);
    assert_eq!(s.store.renew(dead, TTL).await.unwrap(), Renewal::Lost);
}

pub(crate) async fn joining_again_frees_what_the_former_life_held(make: Make) {
    let s = make(LIMITS);
    s.submit("w", &[0]).await;
    let worker = s.join().await;
    s.claim_one(worker).await;
    assert_eq!(s.store.join(worker, TTL).await.unwrap(), 1);
    assert_eq!(s.claim_one(worker).await.epoch, 2);
}

pub(crate) async fn losses_wait_longer_each_time(make: Make) {
    let s = make(LIMITS);
    s.submit("w", &[0]).await;
    for (losses, seconds) in [0, 0, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
        let worker = s.join().await;
        if seconds > 0 {
            s.advance(Duration::from_millis(seconds * 1_000 - 1));
            let early = s.claim(worker, 1).await;
            assert_eq!((early.claimed.len(), early.next_due), (0, Some(Duration::from_millis(1))), "{losses} losses");
            s.advance(Duration::from_millis(1));
            // A lease of half a minute ends just when the longest wait does.
            s.store.join(worker, TTL).await.unwrap();
        }
        let claimed = s.claim_one(worker).await;
        assert_eq!((claimed.losses as usize, claimed.epoch as usize), (losses, losses + 1));
        s.advance(TTL);
        assert_eq!(s.store.reap(1).await.unwrap(), 1);
    }
}

pub(crate) async fn leaving_frees_without_a_loss_and_keeps_the_place(make: Make) {
    let s = make(LIMITS);
    let first = s.submit("w", &[0]).await;
    let worker = s.join().await;
    s.claim_one(worker).await;
    s.advance(Duration::from_secs(1));
    s.submit("w", &[0]).await;
    s.store.leave(worker).await.unwrap();
    assert_eq!(s.store.renew(worker, TTL).await.unwrap(), Renewal::Lost);
    let heir = s.join().await;
    let claimed = s.claim_one(heir).await;
    assert_eq!((claimed.key.run, claimed.losses, claimed.epoch), (first, 0, 2));
}

pub(crate) async fn leaving_twice_is_leaving_once(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    s.store.leave(worker).await.unwrap();
    s.store.leave(worker).await.unwrap();
    s.store.leave(Incarnation::generate()).await.unwrap();
}

pub(crate) async fn a_lease_runs_out_at_its_time_and_not_before(make: Make) {
    let s = make(LIMITS);
    s.submit("w", &[0, 1]).await;
    let worker = s.join().await;
    assert_eq!(s.claim(worker, 2).await.claimed.len(), 2);
    s.advance(TTL - Duration::from_millis(1));
    assert_eq!(s.store.reap(10).await.unwrap(), 0);
    s.advance(Duration::from_millis(1));
    assert_eq!(s.store.renew(worker, TTL).await.unwrap(), Renewal::Lost);
    assert_eq!(s.store.reap(10).await.unwrap(), 2);
    assert_eq!(s.store.renew(worker, TTL).await.unwrap(), Renewal::Lost);
}

pub(crate) async fn renewing_moves_the_end_of_a_lease(make: Make) {
    let s = make(LIMITS);
    s.submit("w", &[0]).await;
    let worker = s.join().await;
    s.claim_one(worker).await;
    for _ in 0..5 {
        s.advance(TTL - Duration::from_millis(1));
        assert_eq!(s.store.renew(worker, TTL).await.unwrap(), HELD);
        assert_eq!(s.store.reap(10).await.unwrap(), 0);
    }
}

pub(crate) async fn a_stranger_cannot_renew(make: Make) {
    let s = make(LIMITS);
    assert_eq!(s.store.renew(Incarnation::generate(), TTL).await.unwrap(), Renewal::Lost);
}

pub(crate) async fn reaping_stops_at_its_bound_and_finds_nothing_twice(make: Make) {
    let s = make(LIMITS);
    s.submit("w", &[0]).await;
    let worker = s.join().await;
    s.claim_one(worker).await;
    s.advance(TTL);
    assert_eq!(s.store.reap(0).await.unwrap(), 0, "no more than it may");
    assert_eq!(s.store.reap(1).await.unwrap(), 1);
    assert_eq!(s.store.reap(1).await.unwrap(), 0);
}
