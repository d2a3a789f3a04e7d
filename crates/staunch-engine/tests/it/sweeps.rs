//! Each point where the engine does I/O fails in turn, in a whole life of an engine with a real store and real processes.

use std::io;
use std::path::Path;
use std::time::Duration;

use staunch_engine::{Engine, Rerun, Submission, Target};
use staunch_flow::RunOutcome;
use staunch_leak::Options;
use staunch_leak::fault::{Manners, Reach, Swept, faults, named_faults};

use crate::bed::{last, result, summary};
use crate::life::{self, ended, lives, submit, until};
use crate::runner_kit::keeper;
use crate::told;

/// Output on both streams, an output file, a temporary file, a retry: `say` writes enough for its log to be sealed aside.
pub(crate) const WORK: &str = r#"
name: work
steps:
  - id: say
    run: |
      echo out; echo err >&2; echo key=value >> "$STAUNCH_OUTPUT"; touch "$STAUNCH_TMP/file"
      head -c 3000 /dev/zero | tr '\0' x
  - { id: again, run: 'test "$STAUNCH_ATTEMPT" = 2', retry: { attempts: 2, delay: 1ms } }
"#;

/// A step that is late, one that is cancelled, one that cleans up.
const SLEEP: &str = r#"
name: sleeper
steps:
  - { id: late, run: sleep 1000, timeout: 10ms, continue-on-error: true }
  - { id: sleeps, run: 'exec sleep 1000' }
  - { id: clean, if: always(), run: ':' }
"#;

/// Steps that leave something behind, kill their keeper, or take an order that does not fit into a packet.
fn nasty() -> String {
    let long = "x".repeat(35_000);
    format!(
        "
name: nasty
steps:
  - {{ id: leaks, run: 'sleep 1000 & true' }}
  - {{ id: kills, run: 'kill -9 $PPID; sleep 1000', continue-on-error: true }}
  - {{ id: long, run: ':', env: {{ ONE: {long}, TWO: {long} }} }}
"
    )
}

async fn work(engine: &Engine) -> Result<(), String> {
    let view = ended(engine, submit(engine, WORK).await?).await?;
    if summary(&view) != "succeeded: say succeeded 1, again succeeded 2" {
        return Err(format!("{view:?}"));
    }
    let said = result(&view, "say");
    let expected = (format!("out\n{}", "x".repeat(3_000)), "err\n", "value");
    let is_whole = (said["stdout"] == expected.0, said["stderr"] == expected.1, said["outputs"]["key"] == expected.2);
    if is_whole != (true, true, true) {
        return Err(format!("the result is not whole: {said}"));
    }
    let again = engine.rerun(view.row.head.id, Rerun::From("again".to_owned()), None).await;
    let again = ended(engine, again.map_err(|error| error.to_string())?.run).await?;
    succeeded(again.row.outcome)
}

async fn cancel(engine: &Engine) -> Result<(), String> {
    let run = submit(engine, SLEEP).await?;
    let starts = |step: &staunch_engine::StepView| step.attempts.iter().any(|attempt| attempt.started_at.is_some());
    until(engine, run, |view| starts(last(view, "sleeps"))).await?;
    engine.cancel(run, false).await.map_err(|error| error.to_string())?;
    let view = ended(engine, run).await?;
    let summary = summary(&view);
    if summary == "cancelled: late timed_out 1, sleeps cancelled 1, clean succeeded 1" { Ok(()) } else { Err(summary) }
}

async fn be_nasty(engine: &Engine) -> Result<(), String> {
    let view = ended(engine, submit(engine, &nasty()).await?).await?;
    let summary = summary(&view);
    if summary == "succeeded: leaks succeeded 1, kills failed 1, long succeeded 1" { Ok(()) } else { Err(summary) }
}

/// By the name of a file, which another file wants too.
async fn by_name(engine: &Engine) -> Result<(), String> {
    let target = Target::Name("named".to_owned());
    let submission = Submission { target, inputs: Default::default(), trigger: "test".to_owned(), key: None };
    let run = engine.submit(submission).await.map_err(|error| error.to_string())?.run;
    succeeded(ended(engine, run).await?.row.outcome)
}

/// A workflows directory for [`by_name`].
fn name(place: &Path) -> io::Result<()> {
    let workflows = place.join("workflows");
    std::fs::create_dir(&workflows)?;
    std::fs::write(workflows.join("a.yaml"), "name: named\nsteps:\n  - { run: ':' }\n")?;
    std::fs::write(workflows.join("c.yaml"), "name: named\nsteps:\n  - { run: ':' }\n")
}

fn nothing(_: &Path) -> io::Result<()> {
    Ok(())
}

fn succeeded(outcome: Option<RunOutcome>) -> Result<(), String> {
    if outcome == Some(RunOutcome::Succeeded) { Ok(()) } else { Err(format!("{outcome:?}")) }
}

/// The engine's own points, and each reservation. Those of the store are swept by its own tests, and here only in the long form.
pub(crate) fn ours(name: &str) -> bool {
    const AREAS: [&str; 11] = [
        "catalog",
        "engine",
        "runner",
        "sealer",
        "keeper",
        "orphans",
        "strays",
        "workspace",
        "output",
        "result",
        "budget",
    ];
    is_long() || AREAS.contains(&name.split('.').next().unwrap_or_default()) || name == "upkeep.recover"
}

pub(crate) fn is_long() -> bool {
    std::env::var_os("STAUNCH_TEST_LONG").is_some()
}

fn reach() -> Reach {
    Reach::first(ours).hits(if is_long() { 4 } else { 1 })
}

/// Where another way is as good, so that nothing has to be said.
const QUIET: &[(&str, &str)] = &[
    ("catalog.list", "it is listed again at once, and until then shown as broken"),
    ("catalog.read", "it is read again at once, and until then shown as broken"),
    ("orphans.look", "the next round looks again, a millisecond later"),
    ("result.build", "it stands in the result of a step that has failed anyway"),
    ("workspace.aside", "a home that cannot be put aside is removed"),
    ("workspace.reuse", "instead of one that was put aside a new home is made"),
];

fn is_quiet(point: &str) -> bool {
    QUIET.iter().any(|(name, _)| *name == point)
}

/// What was told to end has a second for it. If that is too short on a busy machine, the next run of the same point decides.
const SETTLES: Duration = Duration::from_secs(1);

/// A sweep in one manner, so that several can run at once.
fn sweep(
    manners: Manners,
    furnish: impl Fn(&Path) -> io::Result<()>,
    script: &impl AsyncFn(&Engine) -> Result<(), String>,
) -> Swept {
    told::listen();
    let keeper = keeper();
    let swept = named_faults(&Options::default().settle_max(SETTLES), manners, &reach(), || {
        let data = tempfile::tempdir().map_err(|error| error.to_string())?;
        furnish(data.path()).map_err(|error| error.to_string())?;
        match lives(data.path(), &keeper, script) {
            Ok(()) if life::wrong().is_empty() => {
                faults::failed().filter(|fault| is_quiet(fault.point)).map_or(Ok(()), |fault| Err(fault.to_string()))
            }
            done => done,
        }
    });
    told::speak();
    swept.unwrap_or_else(|broken| panic!("{broken}\n{}", life::wrong()))
}

const NONE: Manners = Manners { once: false, from_then_on: false, panic: false, may_recover: false, in_turn: false };
const ONCE: Manners = Manners { once: true, ..NONE };
const FROM_THEN_ON: Manners = Manners { from_then_on: true, ..NONE };
const PANIC: Manners = Manners { panic: true, ..NONE };

staunch_leak::alone! {
    fn ground_g5_an_engine_that_works_fails_once_at_each_point() {
        assert!(sweep(ONCE, nothing, &work).points >= 25);
    }

    fn ground_g5_an_engine_that_works_fails_from_each_point_on() {
        assert!(sweep(FROM_THEN_ON, nothing, &work).points >= 25);
    }

    fn ground_g5_an_engine_that_works_panics_at_each_point() {
        assert!(sweep(PANIC, nothing, &work).points >= 25);
    }

    fn ground_g5_an_engine_that_cancels_fails_once_at_each_point() {
        assert!(sweep(ONCE, nothing, &cancel).points >= 25);
    }

    fn ground_g5_an_engine_that_cancels_panics_at_each_point() {
        assert!(sweep(PANIC, nothing, &cancel).points >= 25);
    }

    fn ground_g5_an_engine_with_a_catalog_fails_once_at_each_point() {
        assert!(sweep(ONCE, name, &by_name).points >= 25);
    }

    fn ground_g5_an_engine_with_nasty_steps_fails_once_at_each_point() {
        assert!(sweep(ONCE, nothing, &be_nasty).points >= 25);
    }

    fn ground_g5_an_engine_with_nasty_steps_panics_at_each_point() {
        assert!(sweep(PANIC, nothing, &be_nasty).points >= 25);
    }
}
