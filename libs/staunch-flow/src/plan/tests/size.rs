//! What a plan costs, and how large it may be.

use super::*;

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
        let mut workflow = crate::plan::notation::empty();
        for n in 0..STEPS {
            let mut step = crate::plan::notation::step(&format!("s{n}"));
            step.needs = needs(n).into_iter().map(|n| Need { step: StepIndex(n), explicit: true }).collect();
            if let (Some(condition), Some(need)) = (condition, step.needs.first().copied()) {
                crate::plan::notation::set_condition(
                    &mut step,
                    &condition.replace("NEED", &format!("s{}", need.step.0)),
                );
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
    let mut workflow = crate::plan::notation::empty();
    for n in 0..5_000 {
        let mut step = crate::plan::notation::step(&format!("s{n}"));
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
