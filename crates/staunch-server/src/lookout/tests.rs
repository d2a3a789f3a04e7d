use super::*;
use crate::pressure::Granted;

fn lookout() -> Lookout {
    let config = WatchConfig { granted: Granted::fixed(1 << 30), ..WatchConfig::default() };
    Lookout::new(config, Allocator::SYSTEM, &Limits::default())
}

#[test]
fn what_is_remembered_is_under_a_megabyte() {
    let bytes = lookout().seen().cost.rings_bytes;
    assert!((100_000..1_000_000).contains(&bytes), "{bytes}");
}

#[test]
fn an_allocator_that_cannot_say_is_not_judged() {
    let lookout = lookout();
    let names: Vec<_> = lookout.followed.iter().map(|followed| followed.resource.name).collect();
    assert!(!names.contains(&"live") && !names.contains(&"unattributed") && names.contains(&"resident"), "{names:?}");
    let counting = Allocator { read: || Some(crate::AllocatorFigures::default()), ..Allocator::SYSTEM };
    let lookout = Lookout::new(WatchConfig::default(), counting, &Limits::default());
    assert_eq!(lookout.followed[0].resource.name, "live");
}

#[tokio::test]
async fn a_hurried_watch_believes_that_more_time_has_passed() {
    let config = WatchConfig { hurry: 100, ..WatchConfig::default() };
    let lookout = Lookout::new(config, Allocator::SYSTEM, &Limits::default());
    assert_eq!(lookout.hurried(Duration::from_millis(50)), Duration::from_secs(5));
    // And of nothing it judges nothing.
    let tasks = Tasks::new();
    lookout.judge(&tasks).await;
    let seen = lookout.seen();
    assert_eq!(seen.verdicts.len(), lookout.followed.len());
    assert!(lookout.judged(&seen).all(|(verdict, _)| verdict.state == State::Insufficient));
    tasks.close(Duration::ZERO).await;
    assert_eq!(tasks.alive(), 0);
}
