//! `continue-on-error`.

use super::*;

#[test]
fn forgiven_failures_count_as_success() {
    check(
        "a: coe
         b:
         c: if failure()
         d: if steps.a.outcome == 'failed'",
        "
begin
  ready a#1
a failed 3
  a failed
  ready b#1
b succeeded
  b succeeded
  c skipped (if)
  ready d#1
d succeeded
  d succeeded
  finished succeeded
",
    );
}

#[test]
fn timeouts_leaks_and_losses_are_forgiven_too() {
    check(
        "a: coe
         b: coe
         c: coe
         d:",
        "
begin
  ready a#1
a timed_out
  a timed_out
  ready b#1
b leaked 0
  b leaked
  ready c#1
c interrupted
  c interrupted
  ready d#1
d succeeded
  d succeeded
  finished succeeded
",
    );
}

#[test]
fn a_cancelled_step_is_not_forgiven() {
    check(
        "a: coe
         b:",
        "
begin
  ready a#1
a cancelled
  a cancelled
  b skipped (a failed)
  finished failed
",
    );
}

#[test]
fn only_the_exit_codes_named_are_forgiven() {
    check(
        "a: coe 3 4
         b: coe 3 4
         c:
         d: if always(); coe 3
         e:",
        "
begin
  ready a#1
a failed 4
  a failed
  ready b#1
b failed 5
  b failed
  c skipped (b failed)
  ready d#1
d timed_out 3
  d timed_out
  e skipped (d failed)
  finished failed
",
    );
}

#[test]
fn retries_come_before_forgiveness() {
    check(
        "a: retry 2; coe
         b:",
        "
begin
  ready a#1
a failed 1
  ready a#2 in 5s
a failed 1
  a failed
  ready b#1
b succeeded
  b succeeded
  finished succeeded
",
    );
}
