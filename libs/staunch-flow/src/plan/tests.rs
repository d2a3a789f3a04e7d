#![expect(clippy::unwrap_used, reason = "tests")]

use super::notation::check;

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
