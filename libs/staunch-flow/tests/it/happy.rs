//! Files that are right, and what they come to.

use std::time::Duration;

use staunch_flow::{Budgets, ContinueOnError, InputType, LeftBehind, Need, OnLost, StepIndex, Workflow, parse};

/// Parses a file that must have neither errors nor warnings.
fn workflow(text: &str) -> Workflow {
    let parsed = parse(text.as_bytes(), "stem", &Budgets::default());
    let said: Vec<String> = parsed.diagnostics.iter().map(|said| said.render("w.yaml", text, false)).collect();
    assert!(said.is_empty(), "{}", said.join("\n\n"));
    parsed.workflow.unwrap()
}

fn implicit(steps: &[u32]) -> Vec<Need> {
    steps.iter().map(|step| Need { step: StepIndex(*step), explicit: false }).collect()
}

fn explicit(steps: &[u32]) -> Vec<Need> {
    steps.iter().map(|step| Need { step: StepIndex(*step), explicit: true }).collect()
}

const FULL: &str = r#"
name: nightly-backup
description: Dumps and checks
on: { manual: {} }
inputs:
  target: { type: choice, options: [s3, disk], default: disk, description: Where to }
  count: { type: number, default: 3 }
  ratio: { type: number, default: 2.5 }
  dry-run: { type: boolean, default: false }
  note: { required: true }
  bare:
env:
  TARGET: "${{ inputs.target }}"
  ZIP: 012
  COUNTRY: no
timeout: 1h30m
max-parallel: 4
on-lost: fail
left-behind: fail
steps:
  - id: dump
    name: Dump the database
    run: |
      set -x
      pg_dump > dump.sql
    shell: bash
    working-directory: db
    env: { PART: "${{ inputs.count }}" }
    timeout: 500ms
    retry: { attempts: 5, delay: 5s, backoff: 1.5, max-delay: 1m, jitter: true, on-exit-codes: [1, 75] }
    continue-on-error: [3, 4]
  - parallel:
      - { id: a, run: "true" }
      - { id: b, run: "false", continue-on-error: true, retry: 3 }
  - run: echo next
  - id: tell
    needs: [dump, a]
    if: ${{ failure() && inputs.target == 's3' }}
    shell: [perl, -e]
    run: print 1
    env: { OUTCOME: "${{ steps.dump.outcome }}" }
  - id: early
    needs: []
    shell: python
    run: print(1)
"#;

#[test]
fn every_key_arrives() {
    let workflow = workflow(FULL);
    assert_eq!(workflow.name, "nightly-backup");
    assert_eq!(workflow.description.as_deref(), Some("Dumps and checks"));
    assert_eq!(workflow.timeout, Some(Duration::from_secs(5_400)));
    assert_eq!(
        (workflow.max_parallel, workflow.on_lost, workflow.left_behind),
        (Some(4), OnLost::Fail, LeftBehind::Fail)
    );
    let env: Vec<_> = workflow.env.iter().map(|(name, value)| (name.as_str(), value.source())).collect();
    assert_eq!(env, [("TARGET", "${{ inputs.target }}"), ("ZIP", "012"), ("COUNTRY", "no")]);

    let inputs: Vec<_> = workflow
        .inputs
        .iter()
        .map(|input| (input.name.as_str(), &input.kind, input.default.clone(), input.required))
        .collect();
    let choice = InputType::Choice(vec!["s3".to_owned(), "disk".to_owned()]);
    assert_eq!(
        inputs,
        [
            ("target", &choice, Some("disk".into()), false),
            ("count", &InputType::Number, Some(3.into()), false),
            ("ratio", &InputType::Number, Some(2.5.into()), false),
            ("dry-run", &InputType::Boolean, Some(false.into()), false),
            ("note", &InputType::String, None, true),
            ("bare", &InputType::String, None, false),
        ]
    );

    let [dump, a, b, next, tell, early] = workflow.steps.as_slice() else { panic!("six steps") };
    assert_eq!((dump.id.as_str(), dump.name.as_deref()), ("dump", Some("Dump the database")));
    assert_eq!(dump.run, "set -x\npg_dump > dump.sql\n");
    assert_eq!(dump.shell.argv, ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]);
    assert_eq!(dump.working_directory.as_ref().unwrap().source(), "db");
    assert_eq!(dump.timeout, Some(Duration::from_millis(500)));
    assert_eq!((dump.retry.attempts, dump.retry.on_exit_codes.as_slice()), (5, [1, 75].as_slice()));
    let backoff = &dump.retry.backoff;
    assert_eq!((backoff.delay, backoff.factor), (Duration::from_secs(5), 1.5));
    assert_eq!((backoff.max_delay, backoff.jitter), (Duration::from_secs(60), true));
    assert_eq!(dump.continue_on_error, ContinueOnError::ExitCodes(vec![3, 4]));
    assert_eq!((b.continue_on_error.clone(), b.retry.attempts), (ContinueOnError::Yes, 3));
    assert_eq!(
        (next.id.as_str(), next.shell.argv.as_slice()),
        ("step-4", ["sh", "-e", "-c"].map(str::to_owned).as_slice())
    );
    assert!(tell.condition_names_status && tell.condition.is_some());
    assert_eq!(tell.shell.argv, ["perl", "-e"]);
    assert_eq!(early.shell.argv, ["python3", "-c"]);
    let needs: Vec<_> = workflow.steps.iter().map(|step| step.needs.clone()).collect();
    assert_eq!(needs, [vec![], implicit(&[0]), implicit(&[0]), implicit(&[1, 2]), explicit(&[0, 1]), vec![]]);
    assert_eq!((a.retry.attempts, a.timeout, a.condition_names_status), (1, None, false));
}
