//! The executor fails at each step of a run, again and again: what the engine and its process hold is what they held.
//!
//! The engine lives on while these runs end, so that nothing is freed only because everything is.

use serde_json::Value;
use staunch_engine::{Engine, RunView};
use staunch_flow::RunOutcome;
use staunch_leak::fault::faults::{self, Manner};
use staunch_store::RunId;

use crate::bed::{self, last, result};
use crate::room::{At, Room, nobody};

/// Says something on both streams, and in its files.
const SAYS: &str =
    "steps:\n  - { id: say, run: 'echo out; echo err >&2; echo k=v >> $STAUNCH_OUTPUT; touch $STAUNCH_TMP/x x' }\n";
const SLEEPS: &str = "steps:\n  - { id: sleep, run: 'touch up; exec sleep 1000' }\n";

/// That the step's result says this.
fn says(step: &'static str, words: &'static str) -> impl Fn(&RunView) {
    move |view| {
        let error = result(view, step)["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(words), "{step} says {error:?}");
    }
}

/// The step fails at a point, and says so.
fn fails_at(at: At, words: &'static str) {
    let room = Room::new();
    room.gate(Some(at), SAYS, "failed: say failed 1", &nobody, says("say", words));
    room.close();
}

fn is_whole(view: &RunView) {
    let result = result(view, "say");
    let streams = (&result["stdout"], &result["stderr"], &result["outputs"]["k"]);
    assert_eq!(streams, (&Value::from("out\n"), &Value::from("err\n"), &Value::from("v")));
}

staunch_leak::alone! {
    fn ground_g6_executor_whose_step_succeeds() {
        let room = Room::new();
        room.gate(None, SAYS, "succeeded: say succeeded 1", &nobody, is_whole);
        room.close();
    }

    fn ground_g6_executor_whose_step_fails() {
        let room = Room::new();
        let text = "steps:\n  - { id: a, run: 'echo no >&2; exit 7', retry: { attempts: 3, delay: 0s } }\n  - { id: b, run: ':' }\n";
        room.gate(None, text, "failed: a failed 3, b skipped 0", &nobody, |view| {
            assert_eq!(result(view, "a")["stderr"], "no\n");
        });
        room.close();
    }

    fn ground_g6_executor_that_gets_no_pipe() {
        fails_at(At("runner.pipe", 0), "no pipe for the step's output");
    }

    fn ground_g6_executor_that_gets_no_second_pipe() {
        fails_at(At("runner.pipe", 1), "no pipe for the step's output");
    }

    fn ground_g6_executor_that_cannot_watch_the_output() {
        fails_at(At("runner.watch", 1), "the step's output cannot be watched");
    }

    fn ground_g6_executor_that_cannot_tell_its_keeper() {
        fails_at(At("keeper.order", 0), "the step's keeper cannot be told");
    }

    fn ground_g6_executor_that_gets_no_workspace() {
        fails_at(At("workspace.make", 0), "its workspace could not be made");
    }

    fn ground_g6_executor_that_gets_half_a_workspace() {
        fails_at(At("workspace.temporary_first", 0), "its workspace could not be made");
    }

    fn ground_g6_executor_that_cannot_read_the_output_file() {
        fails_at(At("output.read", 0), "the output file cannot be read");
    }

    fn ground_g6_executor_that_cannot_build_the_result() {
        fails_at(At("result.build", 0), "result.build");
    }

    /// No keeper is there and none can be started: the one of the round before was killed.
    fn ground_g6_executor_that_gets_no_process() {
        let room = Room::new();
        let kills = "steps:\n  - { id: kill, run: 'kill -9 $PPID; sleep 1000' }\n";
        room.rounds(&room.options(), || {
            let view = room.round(None, kills, &nobody);
            assert_eq!(bed::summary(&view), "failed: kill failed 1");
            let view = room.round(Some(At("keeper.spawn", 0)), SAYS, &nobody);
            assert_eq!(bed::summary(&view), "failed: say failed 1");
            says("say", "no keeper for the step can be started")(&view);
        });
        room.close();
    }

    fn ground_g6_executor_whose_shell_is_missing() {
        let room = Room::new();
        let text = "steps:\n  - { id: a, run: ':', shell: [/no/such/shell, -c] }\n";
        room.gate(None, text, "failed: a failed 1", &nobody, says("a", "/no/such/shell"));
        room.close();
    }

    fn ground_g6_executor_whose_log_fails() {
        for point in ["runner.log_append", "runner.log_seal"] {
            let room = Room::new();
            // Its output is lost to the log, not to the result.
            room.gate(Some(At(point, 0)), SAYS, "succeeded: say succeeded 1", &nobody, is_whole);
            room.close();
        }
    }

    fn ground_g6_executor_whose_output_file_is_bad() {
        let room = Room::new();
        let text = "steps:\n  - { id: a, run: 'echo good=1 >> $STAUNCH_OUTPUT; echo bad >> $STAUNCH_OUTPUT' }\n";
        room.gate(None, text, "failed: a failed 1", &nobody, says("a", "neither `key=value`"));
        let text = "steps:\n  - { id: a, run: 'rm -f $STAUNCH_OUTPUT; mkdir $STAUNCH_OUTPUT' }\n";
        room.gate(None, text, "failed: a failed 1", &nobody, says("a", "not a regular file"));
        room.close();
    }

    fn ground_g6_executor_whose_budget_refuses() {
        // Reservations of a round: the plan, then a capture for each stream that says something.
        for nth in [1, 2] {
            let room = Room::new();
            let at = At("budget.reserve", nth);
            room.gate(Some(at), SAYS, "succeeded: say succeeded 1", &nobody, |view| {
                let result = result(view, "say");
                assert_eq!(result["outputs"]["k"], "v", "{result}");
            });
            room.close();
        }
    }

    fn ground_g6_executor_whose_step_is_late() {
        let room = Room::new();
        let text = "steps:\n  - { id: a, run: 'echo up; exec sleep 1000', timeout: 20ms }\n";
        room.gate(None, text, "failed: a timed_out 1", &nobody, |_| ());
        room.close();
    }

    fn ground_g6_executor_whose_run_is_late() {
        let room = Room::new();
        let text = "timeout: 50ms\nsteps:\n  - { id: a, run: 'exec sleep 1000' }\n  - { id: b, if: always(), run: ':' }\n";
        room.gate(None, text, "timed_out: a timed_out 1, b succeeded 1", &nobody, |_| ());
        room.close();
    }

    fn ground_g6_executor_whose_run_ends_long_before_it_is_late() {
        let room = Room::new();
        room.gate(None, "timeout: 1h\nsteps:\n  - { id: a, run: touch x }\n", "succeeded: a succeeded 1", &nobody, |_| ());
        room.close();
    }

    fn ground_g6_executor_whose_run_is_cancelled() {
        let room = Room::new();
        for force in [false, true] {
            let cancel = async |engine: &Engine, run: RunId| {
                room.file(run, "up").await;
                engine.cancel(run, force).await.unwrap();
            };
            room.gate(None, SLEEPS, "cancelled: sleep cancelled 1", &cancel, |_| ());
        }
        room.close();
    }

    fn ground_g6_executor_whose_keeper_does_not_hear() {
        let room = Room::new();
        let cancel = async |engine: &Engine, run: RunId| {
            room.file(run, "up").await;
            engine.cancel(run, false).await.unwrap();
        };
        room.gate(Some(At("keeper.kill", 0)), SLEEPS, "cancelled: sleep cancelled 1", &cancel, |_| ());
        room.close();
    }

    fn ground_g6_executor_whose_step_leaves_a_child() {
        let room = Room::new();
        let text = "left-behind: fail\nsteps:\n  - { id: a, run: 'sleep 1000 & true' }\n";
        room.gate(None, text, "failed: a leaked 1", &nobody, |view| {
            assert_eq!(result(view, "a")["left_behind"].as_array().unwrap().len(), 1);
        });
        room.close();
    }

    fn ground_g6_executor_whose_step_says_more_than_its_cap() {
        let room = Room::new();
        let text = "steps:\n  - { id: a, run: 'yes | head -c 300000; yes no | head -c 200000 >&2' }\n";
        room.gate(None, text, "succeeded: a succeeded 1", &nobody, |view| {
            let result = result(view, "a");
            assert_eq!((&result["stdout_truncated"], &result["stderr_truncated"]), (&true.into(), &true.into()));
        });
        room.close();
    }

    /// What has happened waits for the store, and is paid for until it is there.
    fn ground_g6_executor_whose_result_cannot_be_recorded() {
        let room = Room::new();
        room.rounds(&room.options().warm_ups(3).rounds(3), || {
            // Until we have looked, however long that takes: a commit that fails is tried again after a second.
            faults::arm_at("engine.commit", 0, true, Manner::Error);
            let view = room.runtime.block_on(async {
                let run = bed::submit(&room.engine, SAYS).await;
                let held = || room.engine.stats().budgets.iter().find(|(name, ..)| *name == "captures").map(|(_, used, _)| *used);
                let mut look = tokio::time::interval(std::time::Duration::from_millis(1));
                while faults::failed().is_none() {
                    look.tick().await;
                }
                assert_eq!(held(), Some(8), "the bytes of both streams");
                let now = room.engine.view(run, staunch_store::Results::Nothing).await.unwrap().unwrap();
                assert_eq!(now.row.outcome, None);
                assert_eq!(faults::disarm().failed.map(|fault| fault.point), Some("engine.commit"));
                bed::ended(&room.engine, run).await
            });
            room.rest();
            is_whole(&view);
        });
        room.close();
    }

    /// Attempts are its own, and it never hears of them: it joins again under another name, which frees them.
    fn ground_g6_executor_whose_claim_gets_lost() {
        let room = Room::new();
        room.rounds(&room.options().warm_ups(2).rounds(3), || {
            let view = room.round(Some(At("engine.claim_answer", 0)), SAYS, &nobody);
            assert_eq!(bed::summary(&view), "succeeded: say succeeded 1", "{view:#?}");
            is_whole(&view);
        });
        room.close();
    }

    fn ground_g6_executor_whose_run_is_run_again() {
        let room = Room::new();
        let text = "steps:\n  - { id: a, run: ':' }\n  - { id: b, run: 'touch x; exit 3' }\n";
        let first = room.round(None, text, &nobody).row.head.id;
        room.rounds(&room.options(), || {
            let view = room.runtime.block_on(async {
                let again = room.engine.rerun(first, staunch_engine::Rerun::Failed, None).await.unwrap();
                bed::ended(&room.engine, again.run).await
            });
            assert_eq!(bed::summary(&view), "failed: a succeeded 0, b failed 1");
            assert_eq!((view.row.outcome, last(&view, "b").attempts.len()), (Some(RunOutcome::Failed), 1));
            room.rest();
        });
        room.close();
    }
}
