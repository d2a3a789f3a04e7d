//! Steps that are kept from an earlier run.

use super::*;

#[test]
fn kept_steps_settle_at_begin() {
    check(
        "a:
         b:
         c:
         d: if steps.a.outputs.v == '1'",
        "
keep b skipped
keep a succeeded v=1
begin
  a succeeded
  b skipped (if)
  ready c#1
c succeeded
  c succeeded
  ready d#1
d succeeded
  d succeeded
  finished succeeded
",
    );
}

#[test]
fn all_kept() {
    check(
        "a:
         b: needs a
         c:",
        "
keep a skipped
keep c skipped
keep b skipped
begin
  a skipped (if)
  b skipped (a skipped)
  c skipped (if)
  finished succeeded
",
    );
}

#[test]
fn a_kept_failure_taints_unless_forgiven() {
    check(
        "a: needs; coe
         b: needs
         c: needs a
         d: needs b",
        "
keep a failed
keep b failed
begin
  a failed
  b failed
  d skipped (b failed)
  ready c#1
c succeeded
  c succeeded
  finished failed
",
    );
}

#[test]
fn a_rerun_keeps_what_succeeded_and_depends_on_nothing_that_runs_again() {
    let text = "a: needs
         b: needs a
         c: needs a; coe
         d: needs a; if false
         e: needs d
         f: needs b
         g: needs c; if always()
         tidy: needs b; if always()
         bad: needs c";
    let mut old = plan(text);
    perform(&mut old, "begin\na succeeded v=1\nb failed 1\nc failed 2\ntidy succeeded\ng succeeded\nbad timed_out");
    assert_eq!(old.outcome(), Some(RunOutcome::Failed));
    let kept = |rerun| {
        let steps = old.rerun_keeps(rerun).into_iter().map(|event| match event {
            Event::Kept { step, .. } => old.workflow().steps[step.0 as usize].id.clone(),
            other => panic!("{other:?}"),
        });
        steps.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(kept(Rerun::Failed), "a c d e g");
    assert_eq!(kept(Rerun::From(StepIndex(2))), "a d e");
    assert_eq!(kept(Rerun::From(StepIndex(0))), "");
    assert_eq!(kept(Rerun::From(StepIndex(7))), "a c d e g");

    let mut new = plan(text);
    for event in old.rerun_keeps(Rerun::Failed) {
        assert_eq!(new.apply(&event), Ok(vec![]));
    }
    let transcript = perform(&mut new, "begin\nb succeeded\nbad succeeded\nf succeeded\ntidy succeeded");
    assert!(transcript.contains("  ready b#1\n  ready bad#1\nb succeeded"), "{transcript}");
    assert!(transcript.ends_with("  finished succeeded\n"), "{transcript}");
    assert_eq!(new.outputs(StepIndex(0)).unwrap()["v"], "1");
}

#[test]
fn an_unfinished_plan_keeps_only_what_is_over() {
    let mut old = plan("a:\nb:\nc:");
    perform(&mut old, "begin\na succeeded");
    assert_eq!(old.rerun_keeps(Rerun::Failed).len(), 1);
}
