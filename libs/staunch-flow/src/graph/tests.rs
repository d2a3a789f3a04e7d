use std::collections::HashSet;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

/// Steps `s0`, `s1`, ...; each with the entry of the list it belongs to and what it names in `needs`.
fn places(steps: &[(usize, Option<Vec<usize>>)]) -> Vec<StepPlace> {
    let place = |(step, (entry, needs)): (usize, &(usize, Option<Vec<usize>>))| StepPlace {
        id: format!("s{step}"),
        given: true,
        at: At { start: step, end: step },
        entry: *entry,
        needs: needs.as_ref().map(|needs| needs.iter().map(|need| (At::default(), format!("s{need}"))).collect()),
    };
    steps.iter().enumerate().map(place).collect()
}

/// Resolves and orders; returns the needs as numbers, the order, and the messages.
fn graph(steps: &[(usize, Option<Vec<usize>>)]) -> (Vec<Vec<u32>>, Vec<usize>, Vec<String>) {
    let places = places(steps);
    let mut findings = Findings::new("");
    let needs = resolve(&places, &mut findings);
    let order = order(&needs, &places, &mut findings);
    let numbers = needs.iter().map(|needs| needs.iter().map(|need| need.step.0).collect()).collect();
    (numbers, order, findings.finish().into_iter().map(|said| said.message).collect())
}

#[test]
fn list_order_goes_from_entry_to_entry() {
    let (needs, order, said) = graph(&[(0, None), (1, None), (1, None), (2, None), (3, Some(vec![])), (4, None)]);
    assert_eq!(needs, [vec![], vec![0], vec![0], vec![1, 2], vec![], vec![4]]);
    assert_eq!((order.len(), said.len()), (6, 0));
}

#[test]
fn needs_replace_list_order_even_within_a_group() {
    let (needs, _, said) = graph(&[(0, None), (1, Some(vec![3])), (1, None), (2, Some(vec![0]))]);
    assert_eq!(needs, [vec![], vec![3], vec![0], vec![0]]);
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn the_path_of_a_circle_is_printed_from_its_first_step() {
    let (_, order, said) = graph(&[(0, Some(vec![2])), (1, Some(vec![0])), (2, Some(vec![1])), (3, Some(vec![0]))]);
    assert_eq!(said, ["these steps need each other in a circle: s0 -> s2 -> s1 -> s0"]);
    assert_eq!(order, Vec::<usize>::new());
}

#[test]
fn a_circle_met_from_outside_is_printed_from_its_first_step_too() {
    let (_, _, said) = graph(&[(0, Some(vec![2])), (1, Some(vec![2])), (2, Some(vec![1]))]);
    assert_eq!(said, ["these steps need each other in a circle: s1 -> s2 -> s1"]);
}

#[test]
fn list_order_can_close_a_circle_too() {
    let (_, _, said) = graph(&[(0, Some(vec![1])), (1, None)]);
    assert_eq!(said, ["these steps need each other in a circle: s0 -> s1 -> s0"]);
}

#[test]
fn two_circles_and_what_hangs_on_them() {
    let (_, order, said) =
        graph(&[(0, Some(vec![1])), (1, Some(vec![0])), (2, Some(vec![3, 0])), (3, Some(vec![2])), (4, Some(vec![]))]);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.contains(&"these steps need each other in a circle: s0 -> s1 -> s0".to_owned()));
    assert!(said.contains(&"these steps need each other in a circle: s2 -> s3 -> s2".to_owned()));
    assert_eq!(order, [4]);
}

#[test]
fn a_long_circle_is_shortened() {
    let steps: Vec<_> = (0..100).map(|step| (step, Some(vec![(step + 1) % 100]))).collect();
    let (_, _, said) = graph(&steps);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("s9 -> ... (81 more) ... -> s91"), "{}", said[0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Any graph: the order holds exactly the steps that no circle holds back, each after its needs.
    #[test]
    fn order_is_topological_and_complete(needs in vec(btree_set(0..12_usize, 0..4), 12)) {
        let steps: Vec<_> = needs.iter().enumerate().map(|(step, needs)| {
            (step, Some(needs.iter().copied().filter(|need| *need != step).collect()))
        }).collect();
        let (needs, order, said) = graph(&steps);
        let mut done = HashSet::new();
        for step in &order {
            prop_assert!(needs[*step].iter().all(|need| done.contains(&(*need as usize))));
            prop_assert!(done.insert(*step), "no step twice");
        }
        // What is not in the order cannot come next either.
        for (step, needs) in needs.iter().enumerate() {
            let ready = needs.iter().all(|need| done.contains(&(*need as usize)));
            prop_assert_eq!(ready, done.contains(&step));
        }
        prop_assert_eq!(said.is_empty(), order.len() == 12);
    }

    /// The bits agree with walking the graph.
    #[test]
    fn ancestors_are_what_a_walk_finds(needs in vec(btree_set(0..70_usize, 0..3), 70)) {
        // Only earlier steps, so that there is no circle.
        let needs: Vec<Vec<Need>> = needs.iter().enumerate().map(|(step, needs)| {
            let earlier = needs.iter().filter(|need| **need < step);
            earlier.map(|need| Need { step: StepIndex(*need as u32), explicit: true }).collect()
        }).collect();
        let order: Vec<usize> = (0..70).collect();
        let ancestors = Ancestors::of(&needs, &order);
        for step in 0..70 {
            let (mut found, mut open) = (HashSet::new(), vec![step]);
            while let Some(next) = open.pop() {
                open.extend(needs[next].iter().map(|need| need.step.0 as usize).filter(|need| found.insert(*need)));
            }
            for earlier in 0..70 {
                prop_assert_eq!(ancestors.holds(step, earlier), found.contains(&earlier));
            }
        }
    }
}
