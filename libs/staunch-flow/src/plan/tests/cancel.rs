//! Cancelling, by force too.

use super::*;

#[test]
fn a_cancel_kills_what_runs_and_skips_what_waits() {
    check(
        "a: needs
         b: needs; retry 3
         c: needs a
         d: if always()
         e: if cancelled()
         f: if failure()
         g: needs a b; if !cancelled()",
        "
begin
  ready a#1
  ready b#1
b failed 1
  ready b#2 in 5s
cancel
  kill a#1 cancelled
  kill b#2 cancelled
cancel
b cancelled
  b cancelled
a cancelled
  a cancelled
  c skipped (run cancelled)
  g skipped (if)
  ready d#1
d succeeded
  d succeeded
  ready e#1
e succeeded
  e succeeded
  f skipped (run cancelled)
  finished cancelled
",
    );
}

#[test]
fn a_killed_attempt_may_end_in_its_own_way_but_is_not_tried_again() {
    check(
        "a: needs; retry 3
         b: needs
         c:",
        "
begin
  ready a#1
  ready b#1
cancel
  kill a#1 cancelled
  kill b#1 cancelled
a failed 1
  a failed
b succeeded
  b succeeded
  c skipped (run cancelled)
  finished cancelled
",
    );
}

#[test]
fn a_repeated_cancel_spares_clean_up() {
    check(
        "a:
         tidy: if always()
         more: if cancelled()",
        "
begin
  ready a#1
cancel
  kill a#1 cancelled
a cancelled
  a cancelled
  ready tidy#1
cancel
tidy succeeded
  tidy succeeded
  ready more#1
more succeeded
  more succeeded
  finished cancelled
",
    );
}

#[test]
fn force_kills_clean_up_and_starts_nothing_more() {
    check(
        "a:
         tidy: if always()
         more: if cancelled()",
        "
begin
  ready a#1
cancel
  kill a#1 cancelled
a cancelled
  a cancelled
  ready tidy#1
force
  kill tidy#1 cancelled
force
cancel
tidy cancelled
  tidy cancelled
  more skipped (run cancelled)
  finished cancelled
",
    );
}

#[test]
fn force_at_once() {
    check(
        "a: needs
         b: needs
         tidy: if always()",
        "
begin
  ready a#1
  ready b#1
force
  kill a#1 cancelled
  kill b#1 cancelled
a cancelled
  a cancelled
b succeeded
  b succeeded
  tidy skipped (run cancelled)
  finished cancelled
",
    );
}

#[test]
fn force_does_not_tell_a_kill_twice() {
    check(
        "a: needs
         tidy: if always()",
        "
begin
  ready a#1
cancel
  kill a#1 cancelled
force
a cancelled
  a cancelled
  tidy skipped (run cancelled)
  finished cancelled
",
    );
}

#[test]
fn held_clean_up_starts_after_a_cancel_and_held_work_does_not() {
    check(
        "max-parallel 1
         a: needs
         b: needs
         c: needs; if always()
         d: needs; if always() && !cancelled()
         e: needs; if cancelled()",
        "
begin
  e skipped (if)
  ready a#1
cancel
  kill a#1 cancelled
  b skipped (run cancelled)
  d skipped (if)
a cancelled
  a cancelled
  ready c#1
c succeeded
  c succeeded
  finished cancelled
",
    );
}

#[test]
fn a_cancel_after_the_last_step_is_refused() {
    check(
        "a:",
        "
begin
  ready a#1
a succeeded
  a succeeded
  finished succeeded
cancel
  refused: the run is over
",
    );
}

#[test]
fn a_cancel_that_hits_nothing_leaves_the_outcome_alone() {
    check(
        "a:
         tidy: if always()",
        "
begin
  ready a#1
deadline
  kill a#1 timed_out
a timed_out
  a timed_out
  ready tidy#1
cancel
tidy succeeded
  tidy succeeded
  finished timed_out
",
    );
}
