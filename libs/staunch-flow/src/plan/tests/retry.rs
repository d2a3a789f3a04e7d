//! `retry`: what is tried again, and after how long.

use super::*;

#[test]
fn only_the_exit_codes_named_are_tried_again() {
    check(
        "a: needs; retry 3 on 75
         b: needs; retry 3 on 75
         c: needs; retry 3 on 75",
        "
begin
  ready a#1
  ready b#1
  ready c#1
a failed 75
  ready a#2 in 5s
a failed 1
  a failed
b timed_out
  b timed_out
c failed 75
  ready c#2 in 5s
c succeeded
  c succeeded
  finished failed
",
    );
}

#[test]
fn a_lost_or_cancelled_attempt_is_not_tried_again() {
    check(
        "a: needs; retry 3
         b: needs; retry 3",
        "
begin
  ready a#1
  ready b#1
a interrupted
  a interrupted
b cancelled
  b cancelled
  finished failed
",
    );
}

#[test]
fn the_wait_grows_up_to_its_bound() {
    check(
        "a: retry 7",
        "
begin
  ready a#1
a failed
  ready a#2 in 5s
a failed
  ready a#3 in 10s
a failed
  ready a#4 in 20s
a failed
  ready a#5 in 40s
a failed
  ready a#6 in 60s
a failed
  ready a#7 in 60s
a failed
  a failed
  finished failed
",
    );
}

#[test]
fn jitter_is_drawn_from_the_seed_and_nothing_else() {
    let delays = |seed| {
        let mut plan = Plan::new(Arc::new(workflow("a: retry 6; jitter")), Inputs::new(), "r", seed);
        plan.begin();
        let mut delays = vec![];
        for _ in 1..6 {
            let effects = plan.apply(&event(&plan, "a failed 1")).unwrap();
            let [Effect::Ready { delay, .. }] = effects[..] else { panic!("{effects:?}") };
            delays.push(delay);
        }
        delays
    };
    assert_eq!(delays(1), delays(1));
    assert_ne!(delays(1), delays(2));
    for (delay, whole) in delays(3).iter().zip([5, 10, 20, 40, 60].map(Duration::from_secs)) {
        assert!(*delay >= whole / 2 && *delay < whole, "{delay:?} {whole:?}");
    }
}
