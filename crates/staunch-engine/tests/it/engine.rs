//! The engine from outside: workflows in, outcomes out, with real processes and a real database.

use serde_json::json;
use staunch_engine::{CancelError, Limits, Rerun, Submission, SubmitError, Target};
use staunch_flow::{Outcome, RunOutcome, StepState, Why};
use staunch_store::{Results, RunState};

use crate::bed::{close, ended, engine, last, result, run, submit, submit_with, summary, turn_after_a_rest, until};
use crate::runner_kit::isolated;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ground_g5_a_step_result_is_json_with_stdout_and_stderr() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    let view = run(
        &engine,
        "steps:\n  - id: say\n    run: echo out; echo err >&2; echo key=value >> $STAUNCH_OUTPUT; exit 3\n",
    )
    .await;
    assert_eq!(summary(&view), "failed: say failed 1");
    let mut found = result(&view, "say");
    let object = found.as_object_mut().unwrap();
    assert!(object.remove("duration_ms").unwrap().is_u64());
    assert!(object.remove("max_rss_bytes").unwrap().as_u64().unwrap() > 100_000);
    let expected = json!({
        "exit_code": 3, "stdout": "out\n", "stderr": "err\n", "stdout_truncated": false, "stderr_truncated": false,
        "outputs": { "key": "value" }, "left_behind": [],
    });
    assert_eq!(found, expected);
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_finds_its_places_and_its_names_in_its_environment() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    let text = r#"
name: places
inputs: { who-is: { type: string, required: true }, many: { type: number, default: 3 } }
env: { GREETING: "hello ${{ inputs.who-is }}" }
steps:
  - id: look
    env: { LOUD: "${{ env.GREETING }}!" }
    run: |
      test "$PWD" = "$STAUNCH_WORKSPACE"
      test -d "$STAUNCH_TMP"
      test ! -e "$STAUNCH_OUTPUT"
      test -z "$(ls -A)"
      test "$STAUNCH_IDEMPOTENCY_KEY" = "$STAUNCH_RUN_ID/look"
      echo "$LOUD|$STAUNCH_STEP_ID|$STAUNCH_ATTEMPT|$STAUNCH_WORKFLOW|$STAUNCH_INPUT_WHO_IS|$STAUNCH_INPUT_MANY|${CARGO_MANIFEST_DIR-unset}"
      touch left
  - id: again
    run: test -e left
"#;
    let id = submit_with(&engine, text, &[("who-is", json!("ann"))]).await;
    let view = ended(&engine, id).await;
    assert_eq!(summary(&view), "succeeded: look succeeded 1, again succeeded 1", "{:?}", result(&view, "look"));
    assert_eq!(result(&view, "look")["stdout"], "hello ann!|look|1|places|ann|3|unset\n");
    close(engine).await;
    assert_eq!(std::fs::read_dir(data.path().join("work")).unwrap().count(), 0, "a run's files go with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_skips_what_needs_it_and_says_why_and_cleanup_runs() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    let text = "
steps:
  - { id: build, run: 'false' }
  - { id: test, run: 'true' }
  - { id: tell, if: failure(), run: 'echo failed' }
  - { id: clean, if: always(), run: 'echo clean' }
  - { id: after, run: 'true' }
";
    let view = run(&engine, text).await;
    assert_eq!(
        summary(&view),
        "failed: build failed 1, test skipped 0, tell succeeded 1, clean succeeded 1, after skipped 0"
    );
    let StepState::Settled { why, .. } = &last(&view, "test").state else { panic!("not settled") };
    assert_eq!(why.as_ref(), Some(&Why::NeedFailed { step: "build".to_owned() }));
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_travel_and_retries_count() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    let text = r#"
steps:
  - id: flaky
    retry: { attempts: 4, delay: 10ms }
    run: |
      echo x >> tries
      test "$(wc -l < tries)" -ge 3
      echo "tries=$(wc -l < tries)" >> "$STAUNCH_OUTPUT"
      printf 'note<<END\nline one\nline two\nEND\n' >> "$STAUNCH_OUTPUT"
  - id: use
    env: { TRIES: "${{ steps.flaky.outputs.tries }}", NOTE: "${{ steps.flaky.outputs.note }}" }
    run: echo "$TRIES:$NOTE:$STAUNCH_ATTEMPT"
"#;
    let view = run(&engine, text).await;
    assert_eq!(summary(&view), "succeeded: flaky succeeded 3, use succeeded 1");
    assert_eq!(result(&view, "use")["stdout"], "3:line one\nline two:1\n");
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parallel_group_runs_at_once_and_max_parallel_holds_it_back() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    // Each waits for the other: only at once can both end.
    let meet = "
steps:
  - parallel:
      - { id: one, run: 'touch 1; until [ -e 2 ]; do sleep 0.01; done', timeout: 30s }
      - { id: two, run: 'touch 2; until [ -e 1 ]; do sleep 0.01; done', timeout: 30s }
  - { id: gather, run: ls }
";
    assert_eq!(summary(&run(&engine, meet).await), "succeeded: one succeeded 1, two succeeded 1, gather succeeded 1");
    let apart = "
max-parallel: 1
steps:
  - parallel:
      - { id: one, run: 'mkdir lock; sleep 0.05; rmdir lock' }
      - { id: two, run: 'mkdir lock; sleep 0.05; rmdir lock' }
      - { id: three, run: 'mkdir lock; sleep 0.05; rmdir lock' }
";
    assert_eq!(summary(&run(&engine, apart).await), "succeeded: one succeeded 1, two succeeded 1, three succeeded 1");
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_limits_end_steps_and_runs() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    let step = "steps:\n  - { id: slow, run: sleep 1000, timeout: 50ms }\n  - { id: next, run: 'true' }\n";
    assert_eq!(summary(&run(&engine, step).await), "failed: slow timed_out 1, next skipped 0");
    let whole = "
timeout: 100ms
steps:
  - { id: slow, run: sleep 1000 }
  - { id: next, run: 'true' }
  - { id: clean, if: always(), run: 'echo clean' }
";
    let view = run(&engine, whole).await;
    assert_eq!(summary(&view), "timed_out: slow timed_out 1, next skipped 0, clean succeeded 1");
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_for_a_retry_still_runs_out_of_time() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    // A keeper is there then, and the first attempt takes a few milliseconds.
    assert_eq!(summary(&run(&engine, "steps:\n  - { id: warm, run: 'true' }\n").await), "succeeded: warm succeeded 1");
    // On a busy machine the run may be out of time before its first attempt has ended: the next run has twice as much.
    let mut timeout_ms = 200;
    let view = loop {
        let text = format!(
            "timeout: {timeout_ms}ms\nsteps:\n  - {{ id: a, run: 'false', retry: {{ attempts: 2, delay: 1h }} }}\n"
        );
        let view = run(&engine, &text).await;
        assert_eq!(view.row.outcome, Some(RunOutcome::TimedOut));
        if last(&view, "a").attempts.len() > 1 || timeout_ms > 10_000 {
            break view;
        }
        timeout_ms *= 2;
    };
    assert_eq!(summary(&view), "timed_out: a timed_out 2");
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_stops_what_runs_and_lets_cleanup_run_and_force_does_not() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    let text = "
steps:
  - { id: slow, run: 'echo up; exec sleep 1000' }
  - { id: next, run: 'true' }
  - { id: clean, if: cancelled(), run: 'echo clean; if [ -n \"$HOLD\" ]; then sleep 1000; fi', env: { HOLD: '${{ inputs.hold }}' } }
inputs: { hold: { type: string, default: '' } }
";
    let is_up = |view: &staunch_engine::RunView| last(view, "slow").attempts.iter().any(|a| a.started_at.is_some());
    let id = submit(&engine, text).await;
    until(&engine, id, is_up).await;
    engine.cancel(id, false).await.unwrap();
    engine.cancel(id, false).await.ok();
    let view = ended(&engine, id).await;
    assert_eq!(summary(&view), "cancelled: slow cancelled 1, next skipped 0, clean succeeded 1");
    assert!(matches!(engine.cancel(id, false).await, Err(CancelError::Over(RunOutcome::Cancelled))));

    let id = submit_with(&engine, text, &[("hold", json!("yes"))]).await;
    until(&engine, id, is_up).await;
    engine.cancel(id, false).await.unwrap();
    until(&engine, id, |view| last(view, "clean").attempts.iter().any(|a| a.started_at.is_some())).await;
    engine.cancel(id, true).await.unwrap();
    let view = ended(&engine, id).await;
    assert_eq!(summary(&view), "cancelled: slow cancelled 1, next skipped 0, clean cancelled 1");
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_in_the_queue_is_cancelled_though_no_slot_is_free() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits { steps_active_max: 1, ..Limits::default() }).await;
    let hog = submit(&engine, "steps:\n  - { id: hog, run: sleep 1000 }\n").await;
    until(&engine, hog, |view| view.row.state == RunState::Running).await;
    // With nothing to claim and nothing to hear the loop turns all the same, or nobody could tell that it lives.
    turn_after_a_rest(&engine).await;
    let queued = submit(&engine, "steps:\n  - { id: never, run: 'false' }\n").await;
    engine.cancel(queued, false).await.unwrap();
    assert_eq!(summary(&ended(&engine, queued).await), "cancelled: never cancelled 1");
    engine.cancel(hog, true).await.unwrap();
    assert_eq!(summary(&ended(&engine, hog).await), "cancelled: hog cancelled 1");
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_behind_is_killed_named_and_if_so_asked_a_failure() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits { settle_ms: 20, ..Limits::default() }).await;
    // It goes only when what it leaves is its own program, and named so.
    let leaky = r#"sleep 1000 & while [ "$(cut -d' ' -f2 /proc/$!/stat)" != '(sleep)' ]; do :; done"#;
    let text = |policy: &str| format!("left-behind: {policy}\nsteps:\n  - id: leaky\n    run: |\n      {leaky}\n");
    let warned = run(&engine, &text("warn")).await;
    assert_eq!(summary(&warned), "succeeded: leaky succeeded 1");
    assert!(result(&warned, "leaky")["left_behind"][0].as_str().unwrap().starts_with("sleep ("));
    assert_eq!(summary(&run(&engine, &text("fail")).await), "failed: leaky leaked 1");
    assert_eq!(engine.stats().left_behind_total, 2);
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rerun_keeps_what_succeeded() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    let flag = data.path().join("flag");
    let text = format!(
        "
steps:
  - {{ id: make, run: 'echo made=1 >> $STAUNCH_OUTPUT' }}
  - {{ id: check, run: 'test -e {}', env: {{ MADE: '${{{{ steps.make.outputs.made }}}}' }} }}
  - {{ id: ship, run: 'true' }}
",
        flag.display()
    );
    let first = run(&engine, &text).await;
    assert_eq!(summary(&first), "failed: make succeeded 1, check failed 1, ship skipped 0");
    std::fs::write(&flag, "").unwrap();
    let again = engine.rerun(first.row.head.id, Rerun::Failed, None).await.unwrap();
    let view = ended(&engine, again.run).await;
    assert_eq!(summary(&view), "succeeded: make succeeded 0, check succeeded 1, ship succeeded 1");
    assert_eq!(view.row.rerun_of, Some(first.row.head.id));
    let from = engine.rerun(again.run, Rerun::From("ship".to_owned()), None).await.unwrap();
    assert_eq!(
        summary(&ended(&engine, from.run).await),
        "succeeded: make succeeded 0, check succeeded 0, ship succeeded 1"
    );
    let unknown = engine.rerun(again.run, Rerun::From("shop".to_owned()), None).await;
    assert!(matches!(unknown, Err(SubmitError::UnknownStep { nearest: Some(nearest), .. }) if nearest == "ship"));
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_start_fails_in_words() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    let text = "
steps:
  - parallel:
      - { id: shell, run: 'true', shell: [/no/such/shell, -c] }
      - { id: place, run: 'true', working-directory: no/such/place }
      - { id: value, run: 'true', env: { X: '${{ steps.shell.outputs.none }}' }, if: always() }
";
    let view = run(&engine, text).await;
    assert_eq!(summary(&view), "failed: shell failed 1, place failed 1, value failed 1");
    for (step, word) in [("shell", "/no/such/shell"), ("place", "no/such/place"), ("value", "steps.shell.outputs.none")]
    {
        let error = result(&view, step)["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(word), "{step}: {error:?}");
    }
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_share_few_slots_and_all_end() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits { steps_active_max: 3, ..Limits::default() }).await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        ids.push(submit(&engine, "steps:\n  - { id: a, run: 'true' }\n  - { id: b, run: 'true' }\n").await);
    }
    for id in ids {
        assert_eq!(summary(&ended(&engine, id).await), "succeeded: a succeeded 1, b succeeded 1");
    }
    assert_eq!(engine.stats().attempts_started_total, 80);
    close(engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_gives_back_what_runs_and_the_next_life_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let limits = Limits { drain_seconds: 0, kill_grace_seconds: 1, ..Limits::default() };
    let first = engine(data.path(), limits).await;
    let text = "
steps:
  - { id: once, run: 'echo x >> count' }
  - { id: slow, run: 'echo x >> tries; if [ $(wc -l < tries) -lt 2 ]; then sleep 1000; fi; cat count' }
";
    let id = submit(&first, text).await;
    until(&first, id, |view| last(view, "slow").attempts.iter().any(|a| a.started_at.is_some())).await;
    // It must have written its line, or the next life would sleep as well.
    let tries = data.path().join("work").join(id.to_string()).join("workspace/tries");
    let seen = tokio::time::timeout(crate::bed::LONG, async {
        while std::fs::metadata(&tries).map_or(0, |file| file.len()) == 0 {
            tokio::task::yield_now().await;
        }
    });
    seen.await.unwrap();
    close(first).await;
    let second = engine(data.path(), limits).await;
    let view = ended(&second, id).await;
    assert_eq!(summary(&view), "succeeded: once succeeded 1, slow succeeded 1");
    assert_eq!(result(&view, "slow")["stdout"], "x\n", "a finished step is not run again");
    let attempt = &last(&view, "slow").attempts[0];
    assert_eq!((attempt.epoch, attempt.losses), (2, 0), "a clean stop is no loss");
    close(second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_submissions_are_refused_in_words() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits::default()).await;
    let target = Target::Text { text: "steps: 3".into(), stem: "bad".to_owned() };
    let bad = Submission { target, inputs: Default::default(), trigger: "test".to_owned(), key: None };
    let Err(SubmitError::Invalid(diagnostics)) = engine.submit(bad).await else { panic!("accepted") };
    assert!(!diagnostics.is_empty());
    let unknown = Submission {
        target: Target::Name("nobody".to_owned()),
        inputs: Default::default(),
        trigger: "test".to_owned(),
        key: None,
    };
    assert!(matches!(engine.submit(unknown).await, Err(SubmitError::UnknownWorkflow { nearest: None, .. })));
    let text = "inputs: { n: { type: number, required: true } }\nsteps:\n  - { run: 'true' }\n";
    let target = Target::Text { text: text.into(), stem: "in".to_owned() };
    let inputs = [("n".to_owned(), json!("many")), ("m".to_owned(), json!(1))].into();
    let bad = Submission { target, inputs, trigger: "test".to_owned(), key: None };
    let Err(SubmitError::Inputs(errors)) = engine.submit(bad).await else { panic!("accepted") };
    assert_eq!(errors.len(), 2, "{errors:?}");
    close(engine).await;
}

isolated! {
    /// The executor's error paths, again and again: what the process holds afterwards is what it held before.
    fn ground_g5_the_executor_frees_everything_on_every_error_path() {
        // Without the signal driver, whose sockets live as long as the process.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(every_error_path());
    }
}

/// The least of many looks: a pipe that is just being closed is not held.
async fn descriptors_at_rest() -> usize {
    let mut least = usize::MAX;
    for _ in 0..100 {
        least = least.min(std::fs::read_dir("/proc/self/fd").unwrap().count());
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    least
}

async fn every_error_path() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), Limits { settle_ms: 10, ..Limits::default() }).await;
    let text = "
left-behind: fail
steps:
  - parallel:
      - { id: ok, run: 'echo fine' }
      - { id: fails, run: 'echo no >&2; exit 7', continue-on-error: true }
      - { id: signal, run: 'kill -9 $$', continue-on-error: true }
      - { id: late, run: 'sleep 1000', timeout: 30ms, continue-on-error: true }
      - { id: leaks, run: 'sleep 1000 & true', continue-on-error: true }
      - { id: nothing, run: 'true', shell: [/no/such/shell, -c], continue-on-error: true }
      - { id: output, run: 'echo bad >> $STAUNCH_OUTPUT', continue-on-error: true }
      - { id: much, run: 'yes | head -c 300000', continue-on-error: true }
";
    // All keepers and all readers there can be at once, so that what follows can be compared exactly.
    let meet = "touch $STAUNCH_STEP_ID; until [ $(ls | wc -l) = 8 ]; do sleep 0.01; done";
    let steps: String = (0..8).map(|at| format!("      - {{ id: s{at}, run: '{meet}', timeout: 30s }}\n")).collect();
    let warm = run(&engine, &format!("steps:\n  - parallel:\n{steps}")).await;
    assert_eq!(warm.row.outcome, Some(RunOutcome::Succeeded), "{}", summary(&warm));
    for _ in 0..20 {
        futures_util::future::join_all(
            (0..16).map(|_| engine.view(warm.row.head.id, Results::UpTo { bytes: u64::MAX })),
        )
        .await;
    }
    let mut held = Vec::new();
    for _ in 0..8 {
        let view = run(&engine, text).await;
        assert_eq!(
            summary(&view),
            "succeeded: ok succeeded 1, fails failed 1, signal failed 1, late timed_out 1, leaks leaked 1, nothing failed 1, \
             output failed 1, much succeeded 1",
            "{view:#?}"
        );
        let outcome = |step| match &last(&view, step).state {
            StepState::Settled { outcome, forgiven, .. } => (*outcome, *forgiven),
            other => panic!("{other:?}"),
        };
        assert_eq!(outcome("leaks"), (Outcome::Leaked, true));
        let stats = engine.stats();
        held.push((descriptors_at_rest().await, stats.budgets.iter().map(|(_, used, _)| used).sum::<u64>()));
    }
    assert!(held.iter().all(|now| *now == held[0]), "{held:?}");
    assert_eq!(held[0].1, 0, "every budget is paid back");
    close(engine).await;
}
