//! What a failure does to the steps behind it, and what a skip does not.

use super::*;

#[test]
fn taint_passes_through_a_step_that_ran_by_always_and_succeeded() {
    check(
        "a:
         mid: if always()
         b:
         c: if success()
         d: if failure()",
        "
begin
  ready a#1
a failed 1
  a failed
  ready mid#1
mid succeeded
  mid succeeded
  b skipped (a failed)
  c skipped (a failed)
  ready d#1
d succeeded
  d succeeded
  finished failed
",
    );
}

#[test]
fn an_always_step_without_trouble_taints_nothing() {
    check(
        "a:
         mid: if always()
         b:",
        "
begin
  ready a#1
a succeeded
  a succeeded
  ready mid#1
mid succeeded
  mid succeeded
  ready b#1
b succeeded
  b succeeded
  finished succeeded
",
    );
}

#[test]
fn the_first_culprit_is_named_through_a_chain() {
    check(
        "a: needs
         b: needs
         c: needs b a
         d:
         e:",
        "
begin
  ready a#1
  ready b#1
a failed 1
  a failed
b failed 1
  b failed
  c skipped (b failed)
  d skipped (b failed)
  e skipped (b failed)
  finished failed
",
    );
}

#[test]
fn a_false_condition_is_benign_for_list_order() {
    check(
        "a:
         b: if false
         c:",
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
fn a_false_condition_is_not_benign_for_who_names_it() {
    check(
        "a:
         b: if false
         c: needs b
         d: needs c
         e: needs
         f: if true",
        "
begin
  ready a#1
  ready e#1
a succeeded
  a succeeded
  b skipped (if)
  c skipped (b skipped)
  d skipped (c skipped)
e succeeded
  e succeeded
  ready f#1
f succeeded
  f succeeded
  finished succeeded
",
    );
}

#[test]
fn list_order_does_not_mind_a_step_skipped_for_its_explicit_need() {
    check(
        "a: if false
         b: needs a
         c:",
        "
begin
  a skipped (if)
  b skipped (a skipped)
  ready c#1
c succeeded
  c succeeded
  finished succeeded
",
    );
}

#[test]
fn a_tainted_step_with_a_false_condition_passes_the_taint_on() {
    check(
        "a:
         b: if failure() && false
         c:",
        "
begin
  ready a#1
a failed 3
  a failed
  b skipped (if)
  c skipped (a failed)
  finished failed
",
    );
}
