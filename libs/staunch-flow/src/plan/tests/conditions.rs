//! `if`, and conditions that have no value.

use super::*;

#[test]
fn only_the_condition_decides_with_a_status_function() {
    check(
        "a: if false
         b: needs a; if always()
         c: needs a; if failure()
         d: needs a; if !cancelled()",
        "
begin
  a skipped (if)
  c skipped (if)
  ready b#1
  ready d#1
b succeeded
  b succeeded
d succeeded
  d succeeded
  finished succeeded
",
    );
}

#[test]
fn failure_runs_only_after_a_failure() {
    check(
        "a:
         b: if failure()
         c: if always()",
        "
begin
  ready a#1
a succeeded
  a succeeded
  b skipped (if)
  ready c#1
c succeeded
  c succeeded
  finished succeeded
",
    );
}

#[test]
fn a_failure_step_that_runs_and_one_that_does_not() {
    check(
        "a:
         b: if failure()
         c: if failure() && steps.a.exit_code == 4
         d: if failure() && steps.a.exit_code == 3",
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
  finished failed
",
    );
}

#[test]
fn a_condition_without_a_value_fails_the_step() {
    check(
        "a:
         b: if steps.a.outputs.x == '1'
         c:
         d: if failure(); coe",
        "
begin
  ready a#1
a succeeded
  a succeeded
  b failed (if error: `steps.a.outputs.x == '1'`: `steps.a.outputs.x` is undefined)
  c skipped (b failed)
  ready d#1
d succeeded
  d succeeded
  finished failed
",
    );
}

#[test]
fn a_condition_that_costs_too_much_fails_the_step() {
    check(
        "a: if range(100000) | join == ''",
        "
begin
  a failed (if error: `range(100000) | join == ''`: out of fuel: the expression costs too much)
  finished failed
",
    );
}

#[test]
fn a_condition_error_is_not_forgiven() {
    check(
        "a:
         b: if steps.a.outputs.x; coe
         c:",
        "
begin
  ready a#1
a succeeded
  a succeeded
  b failed (if error: `steps.a.outputs.x`: `steps.a.outputs.x` is undefined)
  c skipped (b failed)
  finished failed
",
    );
}

#[test]
fn failure_is_true_if_any_cause_is_a_failure_and_not_by_a_cancelled_step_alone() {
    check(
        "a: needs
         b: needs
         both: needs a b; if failure()
         one: needs a; if failure()
         mid: needs b; if always()
         end: needs mid; if failure()",
        "
begin
  ready a#1
  ready b#1
a cancelled
  a cancelled
  one skipped (if)
b failed 1
  b failed
  ready both#1
  ready mid#1
both succeeded
  both succeeded
mid cancelled
  mid cancelled
  ready end#1
end succeeded
  end succeeded
  finished failed
",
    );
}
