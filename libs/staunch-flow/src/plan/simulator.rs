//! Random workflows, run by a fake runner on a hand clock, while a watch checks each promise of the plan.
//!
//! All of a simulation follows from its seed: a failure names the seed, and the seed is enough to see it again.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use crate::outcome::Outcome;
use crate::workflow::{ContinueOnError, Inputs, Need, StepIndex, Workflow};

use super::watch::Watch;
use super::{Effect, Ended, Event, Plan, Rerun, notation};

/// A small generator of numbers (an LCG of Knuth's, upper bits), so that a seed means the same for ever.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A workflow of up to `steps_max` steps with needs, conditions, retries, forgiveness and a bound on parallel steps.
pub(super) fn workflow(dice: &mut Dice, steps_max: usize) -> Workflow {
    let mut workflow = notation::empty();
    let steps = dice.below(steps_max + 1);
    // Needs point to earlier ranks, and ranks are shuffled over the file: `needs` may name a later step.
    let mut ranks: Vec<usize> = (0..steps).collect();
    for n in (1..steps).rev() {
        ranks.swap(n, dice.below(n + 1));
    }
    let shuffled = dice.percent(50);
    for n in 0..steps {
        let mut step = notation::step(&format!("s-{n}"));
        let earlier: Vec<usize> =
            if shuffled { (0..steps).filter(|&m| ranks[m] < ranks[n]).collect() } else { (0..n).collect() };
        if !earlier.is_empty() {
            if !shuffled && dice.percent(50) {
                step.needs.push(Need { step: StepIndex(n as u32 - 1), explicit: false });
            } else {
                for _ in 0..dice.below(4) {
                    let need = Need { step: StepIndex(dice.pick(&earlier) as u32), explicit: true };
                    if !step.needs.contains(&need) {
                        step.needs.push(need);
                    }
                }
            }
        }
        if dice.percent(50) {
            let other = step.needs.first().map_or(n as u32, |need| need.step.0);
            notation::set_condition(&mut step, &condition(dice, other));
        }
        if dice.percent(30) {
            step.retry = notation::retry(1 + dice.below(4) as u32);
            step.retry.backoff.jitter = dice.percent(50);
            if dice.percent(30) {
                step.retry.on_exit_codes = vec![1, 75];
            }
        }
        step.continue_on_error = match dice.below(10) {
            0 => ContinueOnError::Yes,
            1 => ContinueOnError::ExitCodes(vec![2]),
            _ => ContinueOnError::No,
        };
        workflow.steps.push(step);
    }
    workflow.max_parallel = dice.percent(50).then(|| 1 + dice.below(3) as u32);
    workflow
}

fn condition(dice: &mut Dice, other: u32) -> String {
    let written = dice.pick(&[
        "true",
        "false",
        "inputs.flag",
        "success()",
        "failure()",
        "always()",
        "cancelled()",
        "!cancelled()",
        "failure() || success()",
        "always() && inputs.flag",
        "steps.OTHER.outcome == 'succeeded'",
        "always() && steps.OTHER.outcome != 'skipped'",
        "steps.OTHER.outputs.v == '1'",
        "steps.OTHER.outputs.v | default('0') == '1'",
        "always() && steps.OTHER.outputs.v == '1'",
    ]);
    written.replace("OTHER", &format!("s-{other}"))
}

/// What is going to happen, unless something happens before.
enum Happening {
    End {
        step: StepIndex,
        attempt: u32,
        outcome: Outcome,
    },
    Ask(Event),
    /// The server dies; the plan is made anew from what was recorded.
    Restart,
    /// Somebody says what cannot be.
    Nonsense,
}

/// One run in the making.
pub(super) struct Simulation {
    dice: Dice,
    plan: Plan,
    watch: Watch,
    seed: u64,
    now: u64,
    sequence: u64,
    /// What will happen, in order of time and, at one time, of being planned.
    agenda: BTreeMap<(u64, u64), Happening>,
    /// The place in the agenda of the end of each attempt in flight.
    ends: BTreeMap<StepIndex, (u64, u64)>,
    /// What the store would have: events, and what followed from each. The first effects are those of `begin`.
    kept: Vec<Event>,
    events: Vec<Event>,
    effects: Vec<Vec<Effect>>,
}

impl Simulation {
    pub(super) fn new(workflow: Arc<Workflow>, kept: Vec<Event>, seed: u64) -> Self {
        let mut simulation = Self {
            dice: Dice::new(!seed),
            plan: new_plan(&workflow, seed),
            watch: Watch::new(workflow, &kept),
            seed,
            now: 0,
            sequence: 0,
            agenda: BTreeMap::new(),
            ends: BTreeMap::new(),
            kept,
            events: vec![],
            effects: vec![],
        };
        for (chance, event) in [
            (25, Event::CancelRequested { force: false }),
            (10, Event::CancelRequested { force: false }),
            (8, Event::CancelRequested { force: true }),
            (15, Event::DeadlinePassed),
        ] {
            if simulation.dice.percent(chance) {
                let at = simulation.dice.below(400) as u64;
                simulation.plan_for(at, Happening::Ask(event));
            }
        }
        for _ in 0..3 {
            let at = simulation.dice.below(400) as u64;
            simulation.plan_for(at, Happening::Nonsense);
        }
        let at = simulation.dice.below(400) as u64;
        simulation.plan_for(at, Happening::Restart);
        simulation
    }

    /// Runs to the end.
    pub(super) fn run(mut self) -> Plan {
        for event in self.kept.clone() {
            assert_eq!(self.plan.apply(&event), Ok(vec![]));
        }
        let effects = self.plan.begin();
        self.follow(effects);
        let mut turns = 0;
        while let Some(((at, _), happening)) = self.agenda.pop_first() {
            self.now = at;
            turns += 1;
            assert!(turns < 10_000, "the run does not end");
            match happening {
                Happening::End { step, attempt, outcome } => self.end(step, attempt, outcome),
                Happening::Ask(event) => self.ask(event),
                Happening::Restart => self.check_replay(),
                Happening::Nonsense => self.talk_nonsense(),
            }
        }
        assert!(self.watch.finished(), "nothing is left to happen, and the run is not over");
        self.check_replay();
        self.talk_nonsense();
        self.plan
    }

    fn plan_for(&mut self, at: u64, happening: Happening) -> (u64, u64) {
        self.sequence += 1;
        self.agenda.insert((at, self.sequence), happening);
        (at, self.sequence)
    }

    fn end(&mut self, step: StepIndex, attempt: u32, outcome: Outcome) {
        if outcome == Outcome::Interrupted && self.dice.percent(60) {
            // The worker is lost and another one takes the same attempt over: the plan hears nothing of it.
            return self.fly(step, attempt, 0);
        }
        let exit_code = match outcome {
            Outcome::Succeeded => Some(0),
            Outcome::Failed => self.dice.pick(&[Some(1), Some(2), Some(75), None]),
            Outcome::Leaked => Some(0),
            _ => None,
        };
        let outputs = match self.dice.below(3) {
            0 => BTreeMap::from([("v".to_owned(), self.dice.below(2).to_string())]),
            _ => BTreeMap::new(),
        };
        self.ends.remove(&step);
        self.ask(Event::Ended { step, attempt, ended: Ended { outcome, exit_code, outputs } });
    }

    /// Tells the plan, and does what follows.
    fn ask(&mut self, event: Event) {
        let before = self.plan.clone();
        match self.plan.apply(&event) {
            Ok(effects) => {
                self.watch.event(&event);
                self.events.push(event);
                self.follow(effects);
            }
            Err(refused) => {
                assert!(self.watch.finished(), "refused: {refused}");
                assert_eq!(self.plan, before);
            }
        }
    }

    fn follow(&mut self, effects: Vec<Effect>) {
        self.watch.effects(&effects);
        self.watch.compare(&self.plan);
        for effect in &effects {
            match effect {
                Effect::Ready { step, attempt, delay } => {
                    self.plan.launch(*step).unwrap();
                    self.fly(*step, *attempt, delay.as_secs());
                }
                Effect::Kill { step, attempt, because } => {
                    // The kill takes a while, and the attempt may end by itself before.
                    let at = self.now + self.dice.below(20) as u64;
                    let end = self.ends[step];
                    if at < end.0 {
                        self.agenda.remove(&end);
                        let end = Happening::End { step: *step, attempt: *attempt, outcome: *because };
                        let place = self.plan_for(at, end);
                        self.ends.insert(*step, place);
                    }
                }
                Effect::Settled { .. } | Effect::Finished { .. } => {}
            }
        }
        self.effects.push(effects);
    }

    /// Plans the end of an attempt.
    fn fly(&mut self, step: StepIndex, attempt: u32, delay: u64) {
        let outcome = match self.dice.below(100) {
            0..60 => Outcome::Succeeded,
            60..82 => Outcome::Failed,
            82..88 => Outcome::TimedOut,
            88..92 => Outcome::Leaked,
            _ => Outcome::Interrupted,
        };
        let at = self.now + delay + self.dice.below(100) as u64;
        let place = self.plan_for(at, Happening::End { step, attempt, outcome });
        self.ends.insert(step, place);
    }

    /// The same events make the same effects and the same plan.
    fn check_replay(&self) {
        let mut again = new_plan(self.plan.workflow(), self.seed);
        for event in &self.kept {
            assert_eq!(again.apply(event), Ok(vec![]));
        }
        let mut effects = vec![again.begin()];
        effects.extend(self.events.iter().map(|event| again.apply(event).unwrap()));
        assert_eq!(effects, self.effects);
        assert_eq!(again, self.plan);
    }

    /// What cannot be is refused and changes nothing.
    fn talk_nonsense(&mut self) {
        let before = self.plan.clone();
        let steps = self.plan.workflow().steps.len() as u32;
        for number in 0..=steps {
            let step = StepIndex(number);
            let current = self.plan.in_flight().find(|(flying, _)| *flying == step).map(|(_, attempt)| attempt);
            let ended = |outcome| Ended { outcome, exit_code: None, outputs: BTreeMap::new() };
            let wrong = self.dice.below(4) as u32;
            let mut said = vec![
                Event::Kept { step, outcome: Outcome::Succeeded, outputs: BTreeMap::new() },
                Event::Ended { step, attempt: current.unwrap_or(0) + 1 + wrong, ended: ended(Outcome::Failed) },
                Event::Ended { step, attempt: current.unwrap_or(1), ended: ended(Outcome::Skipped) },
            ];
            if current.is_none() {
                said.push(Event::Ended { step, attempt: 1 + wrong, ended: ended(Outcome::Succeeded) });
            }
            for event in said {
                assert!(self.plan.apply(&event).is_err(), "{event:?}");
                assert_eq!(self.plan, before);
            }
        }
        assert_eq!(self.plan.begin(), []);
        assert_eq!(self.plan, before);
    }
}

fn new_plan(workflow: &Arc<Workflow>, seed: u64) -> Plan {
    let inputs = Inputs::from([("flag".to_owned(), json!(seed.is_multiple_of(2)))]);
    Plan::new(Arc::clone(workflow), inputs, "r", seed)
}

/// One run, and now and then a rerun of it.
fn simulate(seed: u64, steps_max: usize) {
    let mut dice = Dice::new(seed);
    let workflow = Arc::new(workflow(&mut dice, steps_max));
    let plan = Simulation::new(Arc::clone(&workflow), vec![], seed).run();
    let steps = workflow.steps.len();
    if dice.percent(40) && steps > 0 {
        let rerun = if dice.percent(50) { Rerun::Failed } else { Rerun::From(StepIndex(dice.below(steps) as u32)) };
        Simulation::new(workflow, plan.rerun_keeps(rerun), seed.wrapping_add(1)).run();
    }
}

#[test]
fn two_thousand_seeds_keep_every_promise() {
    for seed in 0..2_000 {
        let run = std::panic::catch_unwind(|| simulate(seed, 14));
        assert!(run.is_ok(), "seed {seed} breaks a promise, see above");
    }
}

#[test]
fn a_few_large_runs_keep_every_promise() {
    for seed in 0..4 {
        simulate(seed, 150);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// As above, with seeds of its own each time; a failure shrinks to a small workflow.
    #[test]
    fn any_seed_keeps_every_promise(seed: u64, steps_max in 0_usize..10) {
        simulate(seed, steps_max);
    }
}
