//! The time limit of a run.

use super::*;

#[test]
fn a_deadline_kills_as_timed_out_and_leaves_failure_steps() {
    check(
        "a: needs
         b: needs; retry 2
         c: needs a
         d: if always()
         e: if failure()
         f: if cancelled()
         g: needs b; if success()",
        "
begin
  ready a#1
  ready b#1
deadline
  kill a#1 timed_out
  kill b#1 timed_out
deadline
a timed_out
  a timed_out
  c skipped (run timed out)
  ready d#1
b timed_out
  b timed_out
  g skipped (run timed out)
d succeeded
  d succeeded
  ready e#1
e succeeded
  e succeeded
  f skipped (run timed out)
  finished timed_out
",
    );
}

#[test]
fn after_the_deadline_failure_is_true_even_if_the_killed_step_made_it() {
    check(
        "a: needs
         b: if failure()
         c: if always() && success()",
        "
begin
  ready a#1
deadline
  kill a#1 timed_out
a succeeded
  a succeeded
  ready b#1
b succeeded
  b succeeded
  c skipped (if)
  finished timed_out
",
    );
}

#[test]
fn a_deadline_after_a_cancel_changes_nothing() {
    check(
        "a:
         tidy: if always()
         tell: if always() && failure()",
        "
begin
  ready a#1
cancel
  kill a#1 cancelled
deadline
a cancelled
  a cancelled
  ready tidy#1
deadline
tidy succeeded
  tidy succeeded
  tell skipped (if)
  finished cancelled
",
    );
}

#[test]
fn a_cancel_after_the_deadline_spares_clean_up_that_runs() {
    check(
        "a:
         tidy: if always()
         tell: if failure()
         bye: if cancelled()",
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
  tell skipped (run cancelled)
  ready bye#1
bye succeeded
  bye succeeded
  finished cancelled
",
    );
}
