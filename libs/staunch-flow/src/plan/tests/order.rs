//! What starts when: lists, needs, `max-parallel`.

use super::*;

#[test]
fn a_list_runs_in_order() {
    check(
        "a:
         b:
         c:",
        "
begin
  ready a#1
a succeeded
  a succeeded
  ready b#1
b succeeded
  b succeeded
  ready c#1
c succeeded
  c succeeded
  finished succeeded
",
    );
}

#[test]
fn a_failure_skips_what_follows_and_names_itself() {
    check(
        "a:
         b:
         c:
         tidy: if always()
         after:",
        "
begin
  ready a#1
a failed 3
  a failed
  b skipped (a failed)
  c skipped (a failed)
  ready tidy#1
tidy succeeded
  tidy succeeded
  after skipped (a failed)
  finished failed
",
    );
}

#[test]
fn a_retry_waits_and_keeps_the_slot() {
    check(
        "max-parallel 1
         a: needs; retry 3
         b: needs",
        "
begin
  ready a#1
a failed 1
  ready a#2 in 5s
a#1 failed 1
  refused: attempt 1 of step `a` is not in flight, attempt 2 is
a timed_out
  ready a#3 in 10s
a leaked 0
  a leaked
  ready b#1
b succeeded
  b succeeded
  finished failed
",
    );
}

#[test]
fn begin_starts_all_that_needs_nothing_in_the_files_order() {
    check(
        "a: needs
         b: needs c
         c: needs
         d:",
        "
begin
  ready a#1
  ready c#1
c succeeded
  c succeeded
  ready b#1
  ready d#1
a succeeded
  a succeeded
b succeeded
  b succeeded
d succeeded
  d succeeded
  finished succeeded
",
    );
}

#[test]
fn max_parallel_holds_back_in_the_files_order() {
    check(
        "max-parallel 2
         a: needs
         b: needs
         c: needs
         d: needs",
        "
begin
  ready a#1
  ready b#1
b succeeded
  b succeeded
  ready c#1
a succeeded
  a succeeded
  ready d#1
d succeeded
  d succeeded
c succeeded
  c succeeded
  finished succeeded
",
    );
}

#[test]
fn a_diamond_joins_once() {
    check(
        "a:
         b: needs a
         c: needs a
         d: needs b c",
        "
begin
  ready a#1
a succeeded
  a succeeded
  ready b#1
  ready c#1
c succeeded
  c succeeded
b succeeded
  b succeeded
  ready d#1
d succeeded
  d succeeded
  finished succeeded
",
    );
}

#[test]
fn a_workflow_of_no_steps_succeeds() {
    check(
        "env A=1",
        "
begin
  finished succeeded
cancel
  refused: the run is over
",
    );
}

#[test]
fn impossible_events_are_refused() {
    check(
        "a:
         b:",
        "
a succeeded
  refused: the run has not begun
cancel
  refused: the run has not begun
keep x succeeded
  refused: there is no step number 4294967295
keep b succeeded
keep b succeeded
  refused: step `b` is kept already
begin
  b succeeded
  ready a#1
begin
keep a succeeded
  refused: step `a` cannot be kept: the run has begun
b succeeded
  refused: step `b` is not in flight: it is over
x succeeded
  refused: there is no step number 4294967295
a#2 succeeded
  refused: attempt 2 of step `a` is not in flight, attempt 1 is
a skipped
  refused: attempt 1 of step `a` cannot end as skipped: it was ready
a succeeded
  a succeeded
  finished succeeded
a succeeded
  refused: the run is over
deadline
  refused: the run is over
",
    );
}

#[test]
fn in_flight_counts_what_is_ready_runs_or_waits_for_a_retry() {
    let mut plan = plan("max-parallel 2\na: needs; retry 2\nb: needs\nc: needs");
    assert_eq!(plan.in_flight().count(), 0);
    perform(&mut plan, "begin\na failed 1");
    assert_eq!(plan.in_flight().collect::<Vec<_>>(), [(StepIndex(0), 2), (StepIndex(1), 1)]);
    perform(&mut plan, "a succeeded");
    assert_eq!(plan.in_flight().collect::<Vec<_>>(), [(StepIndex(1), 1), (StepIndex(2), 1)]);
}
