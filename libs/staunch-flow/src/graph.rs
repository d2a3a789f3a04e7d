//! The graph of a workflow: who needs whom, in what order they can run, and the circles that forbid it.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::code;
use crate::findings::{At, Findings, quoted};
use crate::limits::{ID_BYTES_MAX, NEEDS_MAX};
use crate::workflow::{Need, StepIndex};

/// A step as the graph sees it.
#[derive(Clone, Debug)]
pub(crate) struct StepPlace {
    /// Its id, given or made.
    pub(crate) id: String,
    /// Whether the file gives it.
    pub(crate) given: bool,
    /// Where the id stands, else the step.
    pub(crate) at: At,
    /// Which entry of the list it belongs to: the steps of a group share one.
    pub(crate) entry: usize,
    /// What `needs:` names, if it is there.
    pub(crate) needs: Option<Vec<(At, String)>>,
}

/// Turns names into steps, and list order into needs. What is wrong is left out and said.
pub(crate) fn resolve(places: &[StepPlace], findings: &mut Findings<'_>) -> Vec<Vec<Need>> {
    let ids = index(places, findings);
    let mut resolved = Vec::with_capacity(places.len());
    let mut total = 0;
    // The steps of the entry before, and the first step of this one.
    let (mut before, mut first) = (0..0, 0);
    for (step, place) in places.iter().enumerate() {
        if place.entry != places[first].entry {
            (before, first) = (first..step, step);
        }
        let needs: Vec<Need> = match &place.needs {
            Some(named) => explicit(named, step, places, &ids, findings),
            None if total + before.len() > NEEDS_MAX => {
                let message =
                    format!("the graph has more than {NEEDS_MAX} edges: groups of this size cannot follow each other");
                findings.error_help(
                    code::TOO_BIG,
                    place.at,
                    message,
                    "put a step between the groups: each needs only that step then",
                );
                return vec![Vec::new(); places.len()];
            }
            None => before.clone().map(|step| Need { step: StepIndex(step as u32), explicit: false }).collect(),
        };
        total += needs.len();
        resolved.push(needs);
    }
    resolved
}

/// The steps by id; a second step of the same id is said and left out.
fn index<'p>(places: &'p [StepPlace], findings: &mut Findings<'_>) -> HashMap<&'p str, usize> {
    let mut ids: HashMap<&str, usize> = HashMap::with_capacity(places.len());
    for (step, place) in places.iter().enumerate() {
        let Some(first) = ids.insert(&place.id, step) else { continue };
        // Of a given and a made id, the given one is to be changed.
        let (wrong, other) = if place.given { (step, first) } else { (first, step) };
        ids.insert(&place.id, first);
        let message = format!("two steps have the id {}", quoted(&place.id));
        let line = findings.line(places[other].at);
        let help = if places[other].given {
            format!("the first is on line {line}: rename one of them")
        } else {
            format!("the step on line {line} has no id, so it is called that by its place: rename this one")
        };
        findings.error_help(code::DUPLICATE_ID, places[wrong].at, message, help);
    }
    ids
}

fn explicit(
    named: &[(At, String)],
    step: usize,
    places: &[StepPlace],
    ids: &HashMap<&str, usize>,
    findings: &mut Findings<'_>,
) -> Vec<Need> {
    let mut needs = Vec::with_capacity(named.len());
    let mut seen = HashSet::with_capacity(named.len());
    for (at, name) in named {
        match ids.get(name.as_str()) {
            None => {
                let message = format!("`needs` names {}, but there is no such step", quoted(name));
                let others = places.iter().filter(|place| place.id != places[step].id).map(|place| place.id.as_str());
                findings.unknown(code::UNKNOWN_STEP, *at, message, name, others, None);
            }
            Some(&need) if need == step => {
                findings.error_help(code::SELF_NEED, *at, format!("step {} needs itself", quoted(name)), "remove it");
            }
            Some(&need) if seen.insert(need) => needs.push(Need { step: StepIndex(need as u32), explicit: true }),
            Some(_) => findings.warning(
                code::DUPLICATE_NEED,
                *at,
                format!("`needs` names {} twice", quoted(name)),
                "remove one",
            ),
        }
    }
    needs
}

/// The steps in an order in which all needs come before. Circles are said, each with its path, and are left out.
pub(crate) fn order(needs: &[Vec<Need>], places: &[StepPlace], findings: &mut Findings<'_>) -> Vec<usize> {
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    for (step, needs) in needs.iter().enumerate() {
        for need in needs {
            followers[need.step.0 as usize].push(step);
        }
    }
    let mut order: Vec<usize> = (0..needs.len()).filter(|step| waiting[*step] == 0).collect();
    let mut next = 0;
    while let Some(&step) = order.get(next) {
        next += 1;
        for &follower in &followers[step] {
            waiting[follower] -= 1;
            if waiting[follower] == 0 {
                order.push(follower);
            }
        }
    }
    if order.len() < needs.len() {
        circles(needs, places, &waiting, findings);
    }
    order
}

/// Says the circles: every step that still waits needs one that still waits, so walking back along needs must meet
/// itself. Each step is walked once, so the walks together are linear; circles that share steps are said as one.
fn circles(needs: &[Vec<Need>], places: &[StepPlace], waiting: &[usize], findings: &mut Findings<'_>) {
    let mut walk_of = vec![0_usize; needs.len()];
    for start in 0..needs.len() {
        if waiting[start] == 0 || walk_of[start] != 0 {
            continue;
        }
        let mut path = Vec::new();
        let mut step = start;
        while walk_of[step] == 0 {
            walk_of[step] = start + 1;
            path.push(step);
            match needs[step].iter().find(|need| waiting[need.step.0 as usize] > 0) {
                Some(need) => step = need.step.0 as usize,
                None => break,
            }
        }
        if walk_of[step] != start + 1 {
            continue; // It ran into an earlier walk, whose circle has been said.
        }
        let begin = path.iter().position(|met| *met == step).unwrap_or(0);
        say_circle(&mut path[begin..], places, findings);
    }
}

/// Ids of a circle that are printed at its start and at its end.
const SHOWN: usize = 10;

fn say_circle(circle: &mut [usize], places: &[StepPlace], findings: &mut Findings<'_>) {
    // Started at the step that stands first in the file, so that the message does not depend on the walk.
    let first = circle.iter().enumerate().min_by_key(|(_, step)| **step).map_or(0, |(at, _)| at);
    circle.rotate_left(first);
    // An id that is too long is said elsewhere, and not printed whole here.
    let id = |step: &usize| places[*step].id.chars().take(ID_BYTES_MAX).collect::<String>();
    let closed: Vec<&usize> = circle.iter().chain(circle.first()).collect();
    let joined = |steps: &[&usize]| steps.iter().map(|step| id(step)).collect::<Vec<_>>().join(" -> ");
    let path = if closed.len() <= 2 * SHOWN {
        joined(&closed)
    } else {
        let (head, tail) = (&closed[..SHOWN], &closed[closed.len() - SHOWN..]);
        format!("{} -> ... ({} more) ... -> {}", joined(head), closed.len() - 2 * SHOWN, joined(tail))
    };
    // The place of the need that leads from the first step of the path to the second.
    let place = &places[circle[0]];
    let second = &places[circle[1 % circle.len()]].id;
    let named = place.needs.iter().flatten().find(|(_, name)| name == second);
    let at = named.map_or(place.at, |(at, _)| *at);
    findings.error_help(
        code::CYCLE,
        at,
        format!("these steps need each other in a circle: {path}"),
        "remove one of these needs; `a -> b` reads: a needs b",
    );
}

/// For each step the set of steps that are over when it starts, as bits.
pub(crate) struct Ancestors {
    words: usize,
    bits: Vec<u64>,
}

impl Ancestors {
    /// Of all steps of `order`; at 5,000 steps that is 3 MB.
    pub(crate) fn of(needs: &[Vec<Need>], order: &[usize]) -> Self {
        let words = needs.len().div_ceil(64);
        let mut bits = vec![0; words * needs.len()];
        for &step in order {
            for need in &needs[step] {
                let need = need.step.0 as usize;
                for word in 0..words {
                    bits[step * words + word] |= bits[need * words + word];
                }
                bits[step * words + need / 64] |= 1 << (need % 64);
            }
        }
        Self { words, bits }
    }

    /// Whether `earlier` is over when `step` starts.
    pub(crate) fn holds(&self, step: usize, earlier: usize) -> bool {
        self.bits[step * self.words + earlier / 64] & (1 << (earlier % 64)) != 0
    }
}

#[cfg(test)]
mod tests;
