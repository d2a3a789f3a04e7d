#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::notation::{check, event, perform, plan, workflow};
use super::{Effect, Ended, Event, Plan, Rerun, StepState, Why};
use crate::outcome::{Outcome, RunOutcome};
use crate::workflow::{Inputs, Need, StepIndex};

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
fn launch_renders_the_workflows_env_then_the_steps_each_seeing_those_above() {
    let mut plan = plan(
        "env A=1
         env B=${{ env.A }}2
         env RUN=${{ run.id }}/${{ run.workflow }}
         a:
         b: env C=${{ env.B }}3; env A=over; env D=${{ env.A }}-${{ steps.a.outputs.v }}; dir ${{ env.A }}/x",
    );
    perform(&mut plan, "begin\na succeeded v=1");
    let launch = plan.launch(StepIndex(1)).unwrap();
    let env: Vec<_> = launch.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["A=over", "B=12", "RUN=r1/w", "C=123", "D=over-1"]);
    assert_eq!(launch.working_directory.unwrap(), "over/x");
    assert_eq!(launch.argv, ["sh", "-e", "-c", "echo b"]);
}

#[test]
fn launch_says_which_variable_has_no_value_and_why() {
    let mut plan = plan(
        "a: needs; env X=${{ steps.b.outputs.v }}
         b: needs; env X=${{ env.XX }}; env XY=1
         c: needs; env A=${{ inputs.targt }}
         d: needs; dir ${{ env.NO }}
         e: needs; if env.Y == 'y' && inputs.target == 's3' && trigger is mapping; env Y=y",
    );
    plan.inputs = Arc::new(Inputs::from([("target".to_owned(), json!("s3"))]));
    plan.begin();
    let said = |step| plan.launch(StepIndex(step)).unwrap_err().message;
    assert_eq!(said(0), "in env X: `steps.b` has no value here: that step may not have ended yet, add it to `needs`");
    assert_eq!(said(1), "in env X: `env.XX` is undefined");
    assert_eq!(said(2), "in env A: `inputs.targt` is undefined, did you mean `target`?");
    assert_eq!(said(3), "in working-directory: `env.NO` is undefined");
    assert_eq!(plan.step(StepIndex(4)), StepState::InFlight { attempt: 1 });
}

#[test]
fn a_scope_holds_what_is_asked_for_whole_or_in_part() {
    let mut plan = plan(
        "a: needs; coe
         b: env ALL=${{ steps }}; env ONE=${{ steps.a }}; env IN=${{ inputs }}; env SOME=${{ inputs['x'] }}; env N=${{ steps['a'].exit_code + 1 }}",
    );
    plan.inputs = Arc::new(Inputs::from([("x".to_owned(), json!(1.0)), ("y".to_owned(), json!(null))]));
    perform(&mut plan, "begin\na failed 7 k=v");
    let env: BTreeMap<_, _> = plan.launch(StepIndex(1)).unwrap().env.into_iter().collect();
    let a = r#"{"exit_code":7,"outcome":"failed","outputs":{"k":"v"}}"#;
    assert_eq!(env["ALL"], format!(r#"{{"a":{a}}}"#));
    assert_eq!(env["ONE"], a);
    assert_eq!(env["IN"], r#"{"x":1.0,"y":null}"#);
    assert_eq!((env["SOME"].as_str(), env["N"].as_str()), ("1", "8"));
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

#[test]
fn a_settled_step_tells_all_about_itself() {
    let plan = check(
        "a: coe; retry 2
         b: if false",
        "
begin
  ready a#1
a failed 1
  ready a#2 in 5s
a failed 3 k=v
  a failed
  b skipped (if)
  finished succeeded
",
    );
    let a = StepState::Settled { outcome: Outcome::Failed, forgiven: true, attempts: 2, why: None };
    assert_eq!(plan.step(StepIndex(0)), a);
    let why = Some(Why::ConditionFalse);
    assert_eq!(
        plan.step(StepIndex(1)),
        StepState::Settled { outcome: Outcome::Skipped, forgiven: false, attempts: 0, why }
    );
    assert_eq!(plan.step(StepIndex(9)), StepState::Waiting);
    assert_eq!(plan.outputs(StepIndex(0)).unwrap()["k"], "v");
    assert_eq!(plan.outputs(StepIndex(9)), None);
    assert_eq!(plan.outcome(), Some(RunOutcome::Succeeded));
    assert_eq!(plan.in_flight().count(), 0);
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

#[test]
fn bytes_grow_with_outputs_and_cover_them() {
    let mut plan = plan("a:\nb:");
    plan.begin();
    let before = plan.bytes();
    let big = "x".repeat(60_000);
    plan.apply(&event(&plan, &format!("a succeeded k={big}"))).unwrap();
    let grown = plan.bytes() - before;
    assert!((60_001..61_000).contains(&grown), "{grown}");
    let mut keeps = Plan::new(Arc::clone(plan.workflow()), Inputs::new(), "r1", 42);
    keeps.apply(&event(&keeps, &format!("keep a succeeded k={big}"))).unwrap();
    assert_eq!(keeps.bytes(), before + grown);
    keeps.begin();
    assert_eq!(keeps.bytes(), before + grown);
}

/// A workflow of many steps must cost a little each: this would take minutes if an event cost time in the run's size.
#[test]
fn five_thousand_steps_cost_little_each() {
    const STEPS: u32 = 5_000;
    let run = |needs: &dyn Fn(u32) -> Vec<u32>, condition: Option<&str>| {
        let mut workflow = super::notation::empty();
        for n in 0..STEPS {
            let mut step = super::notation::step(&format!("s{n}"));
            step.needs = needs(n).into_iter().map(|n| Need { step: StepIndex(n), explicit: true }).collect();
            if let (Some(condition), Some(need)) = (condition, step.needs.first().copied()) {
                super::notation::set_condition(&mut step, &condition.replace("NEED", &format!("s{}", need.step.0)));
            }
            workflow.steps.push(step);
        }
        let mut plan = Plan::new(Arc::new(workflow), Inputs::new(), "r", 1);
        let mut effects: std::collections::VecDeque<_> = plan.begin().into();
        let mut finished = 0;
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Ready { step, attempt, .. } => {
                    let ended = Ended { outcome: Outcome::Succeeded, exit_code: Some(0), outputs: BTreeMap::new() };
                    effects.extend(plan.apply(&Event::Ended { step, attempt, ended }).unwrap());
                }
                Effect::Finished { outcome } => {
                    assert_eq!(outcome, RunOutcome::Succeeded);
                    finished += 1;
                }
                _ => {}
            }
        }
        assert_eq!(finished, 1);
    };
    run(&|_| vec![], None);
    run(&|n| n.checked_sub(1).into_iter().collect(), Some("steps.NEED.outcome == 'succeeded'"));
    run(&|n| if n == 0 { vec![] } else { vec![0] }, None);
    run(&|n| if n == STEPS - 1 { (0..n).collect() } else { vec![] }, None);
}

#[test]
fn five_thousand_skips_need_no_stack() {
    let mut workflow = super::notation::empty();
    for n in 0..5_000 {
        let mut step = super::notation::step(&format!("s{n}"));
        step.needs = (n > 0).then(|| Need { step: StepIndex(n - 1), explicit: false }).into_iter().collect();
        workflow.steps.push(step);
    }
    let run = move || {
        let mut plan = Plan::new(Arc::new(workflow), Inputs::new(), "r", 1);
        plan.begin();
        plan.apply(&event(&plan, "s0 failed 1")).unwrap().len()
    };
    let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn(run).unwrap();
    assert_eq!(thread.join().unwrap(), 5_001);
}

/// The store keeps events as JSON: these forms must be read for as long as there are old runs.
#[test]
fn events_and_reasons_keep_their_form() {
    let plan = plan("a:");
    for (line, form) in [
        ("keep a skipped v=1", r#"{"kind":"kept","step":0,"outcome":"skipped","outputs":{"v":"1"}}"#),
        (
            "a#2 timed_out",
            r#"{"kind":"ended","step":0,"attempt":2,"ended":{"outcome":"timed_out","exit_code":null,"outputs":{}}}"#,
        ),
        ("force", r#"{"kind":"cancel_requested","force":true}"#),
        ("deadline", r#"{"kind":"deadline_passed"}"#),
    ] {
        let event = event(&plan, line);
        assert_eq!(serde_json::to_string(&event).unwrap(), form);
        assert_eq!(serde_json::from_str::<Event>(form).unwrap(), event);
    }
    for (why, form) in [
        (Why::ConditionFalse, r#"{"why":"condition_false"}"#),
        (Why::ConditionError { message: "m".to_owned() }, r#"{"why":"condition_error","message":"m"}"#),
        (Why::NeedFailed { step: "a".to_owned() }, r#"{"why":"need_failed","step":"a"}"#),
        (Why::NeedSkipped { step: "a".to_owned() }, r#"{"why":"need_skipped","step":"a"}"#),
        (Why::RunCancelled, r#"{"why":"run_cancelled"}"#),
        (Why::RunTimedOut, r#"{"why":"run_timed_out"}"#),
    ] {
        assert_eq!(serde_json::to_string(&why).unwrap(), form);
        assert_eq!(serde_json::from_str::<Why>(form).unwrap(), why);
    }
}

#[test]
fn an_unknown_step_cannot_be_launched() {
    assert_eq!(plan("a:").launch(StepIndex(7)).unwrap_err().message, "there is no step number 7");
}
