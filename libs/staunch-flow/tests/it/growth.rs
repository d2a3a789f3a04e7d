//! Parsed, planned and rendered again and again, nothing grows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use staunch_flow::{
    Budgets, Effect, Ended, Event, Outcome, Plan, Rerun, RunOutcome, Scope, StepIndex, Template, Workflow, parse,
};
use staunch_leak::{Options, no_growth};

/// All files of a directory that end so, with their names.
fn files(directory: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let wanted = paths.filter(|path| path.extension().is_some_and(|found| found == ending));
    wanted.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

fn workflow(text: &str) -> Arc<Workflow> {
    Arc::new(parse(text.as_bytes(), "stem", &Budgets::default()).workflow.unwrap())
}

/// A retry, outputs that are handed on, conditions, a step that is skipped, one that cleans up.
const WORK: &str = r#"
inputs: { who: { default: world } }
env: { WHO: "${{ inputs.who }}" }
steps:
  - { id: make, run: ./make, retry: { attempts: 3, delay: 1s, backoff: 2, jitter: true } }
  - { id: use, run: ./use, env: { MADE: "${{ steps.make.outputs.made }}" }, continue-on-error: true }
  - { id: tell, if: "${{ failure() }}", run: ./tell }
  - { id: clean, if: always(), run: ./clean }
"#;

/// Plays a run to its end: whatever is ready ends as `outcome` says.
fn play(plan: &mut Plan, outcome: impl Fn(StepIndex, u32) -> Outcome) -> Option<RunOutcome> {
    let mut effects = plan.begin();
    while let Some(effect) = effects.pop() {
        let Effect::Ready { step, attempt, .. } = effect else { continue };
        let launch = plan.launch(step);
        let outputs = BTreeMap::from([("made".to_owned(), "x".repeat(100))]);
        let outcome = if launch.is_ok() { outcome(step, attempt) } else { Outcome::Failed };
        let ended = Event::Ended { step, attempt, ended: Ended { outcome, exit_code: Some(3), outputs } };
        effects.extend(plan.apply(&ended).unwrap());
        assert!(plan.apply(&ended).is_err(), "an end that comes twice is refused");
    }
    plan.outcome()
}

fn fails_twice(step: StepIndex, attempt: u32) -> Outcome {
    if step.0 == 1 || step.0 == 0 && attempt < 3 { Outcome::Failed } else { Outcome::Succeeded }
}

staunch_leak::alone! {
    fn ground_g6_files_that_are_right_are_parsed_without_growth() {
        let files = files("corpus", "yaml");
        assert!(files.len() >= 20);
        let flat = no_growth(&Options::default(), || {
            for (stem, bytes) in &files {
                drop(parse(bytes, stem, &Budgets::default()));
            }
        });
        flat.unwrap();
    }

    fn ground_g6_files_that_are_wrong_are_parsed_without_growth() {
        let files = files("tests/golden", "yaml");
        assert!(files.len() >= 20);
        let flat = no_growth(&Options::default(), || {
            let said: usize = files.iter().map(|(stem, bytes)| {
                let parsed = parse(bytes, stem, &Budgets::default());
                let text = String::from_utf8_lossy(bytes);
                parsed.diagnostics.iter().map(|said| said.render("w.yaml", &text, false).len()).sum::<usize>()
            }).sum();
            assert!(said > 1_000);
        });
        flat.unwrap();
    }

    /// Each byte cut off, and each budget too small: every error path of the parser.
    fn ground_g6_files_that_end_early_are_parsed_without_growth() {
        let tight = |bytes_max, steps_max| Budgets { bytes_max, steps_max, ..Budgets::default() };
        let flat = no_growth(&Options::default(), || {
            for end in 0..WORK.len() {
                drop(parse(&WORK.as_bytes()[..end], "stem", &Budgets::default()));
            }
            assert!(parse(WORK.as_bytes(), "stem", &tight(100, 10)).workflow.is_none());
            assert!(parse(WORK.as_bytes(), "stem", &tight(10_000, 1)).workflow.is_none());
            assert!(parse(b"\xff\xfe steps", "stem", &Budgets::default()).workflow.is_none());
        });
        flat.unwrap();
    }

    fn ground_g6_a_plan_is_played_to_every_end_without_growth() {
        let workflow = workflow(WORK);
        let flat = no_growth(&Options::default(), || {
            let new = || {
                let inputs = workflow.inputs(&BTreeMap::new()).unwrap();
                Plan::new(Arc::clone(&workflow), inputs, "run", 7)
            };
            let mut plan = new();
            assert_eq!(play(&mut plan, fails_twice), Some(RunOutcome::Succeeded));
            for rerun in [Rerun::Failed, Rerun::From(StepIndex(1))] {
                let mut again = new();
                for kept in plan.rerun_keeps(rerun) {
                    drop(again.apply(&kept).unwrap());
                }
                assert!(play(&mut again, |_, _| Outcome::Succeeded).is_some());
            }
            assert_eq!(play(&mut new(), |_, _| Outcome::Failed), Some(RunOutcome::Failed));
            for event in [Event::DeadlinePassed, Event::CancelRequested { force: false }, Event::CancelRequested { force: true }] {
                let mut plan = new();
                drop(plan.begin());
                drop(plan.apply(&event).unwrap());
                assert!(plan.bytes() > 100);
            }
        });
        flat.unwrap();
    }

    fn ground_g6_one_plan_that_lives_on_does_not_grow_by_what_it_refuses() {
        let mut plan = Plan::new(workflow(WORK), BTreeMap::new(), "run", 7);
        assert!(play(&mut plan, fails_twice).is_some());
        let late = Event::Ended { step: StepIndex(0), attempt: 1, ended: Ended { outcome: Outcome::Failed, exit_code: None, outputs: BTreeMap::new() } };
        let flat = no_growth(&Options::default().rounds(1_000), || {
            assert!(plan.apply(&late).is_err());
            drop(plan.apply(&Event::DeadlinePassed));
        });
        flat.unwrap();
    }

    fn ground_g6_expressions_are_rendered_and_refused_without_growth() {
        let flat = no_growth(&Options::default(), || {
            let scope = Scope::default();
            let good = Template::parse("a ${{ 1 + 1 }} b").unwrap();
            assert_eq!(good.render(&scope).unwrap(), "a 2 b");
            // Without an end, without sense, without a value, without fuel.
            assert!(Template::parse("${{ 1 +").is_err() && Template::parse("${{ ) }}").is_err());
            assert!(Template::parse("${{ steps.none.outcome }}").unwrap().render(&scope).is_err());
            let endless = "${{ range(100000)|sum }}";
            assert!(Template::parse(endless).and_then(|template| template.render(&scope)).is_err());
        });
        flat.unwrap();
    }
}
