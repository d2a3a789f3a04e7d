//! What a step is started with, and what is told of it.

use super::*;

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
fn an_unknown_step_cannot_be_launched() {
    assert_eq!(plan("a:").launch(StepIndex(7)).unwrap_err().message, "there is no step number 7");
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
