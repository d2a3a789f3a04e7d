//! Points by their names: for scenarios whose threads take turns, so that the n-th hit of all is another each time.

use std::fmt::Display;
use std::process::Command;

use staunch_bounded::faults::{self, Manner, Told};

use super::broken::{Blame, Broken, Swept};
use super::crash::{self, Crash};
use super::measured::caught;
use super::sweep::{Ended, Manners};
use crate::gate::{Baseline, Options};

/// How often a point is tried that another run had reached, before it counts as not there any more.
const TRIES: usize = 12;

/// Which points are swept: by name, and how many of the hits of each.
pub struct Reach {
    named: Box<dyn Fn(&str) -> bool>,
    hits_max: u64,
}

impl Reach {
    /// The first hit of each point whose name `named` takes.
    pub fn first(named: impl Fn(&str) -> bool + 'static) -> Self {
        Self { named: Box::new(named), hits_max: 1 }
    }

    /// So many hits of each, from the first.
    pub fn hits(mut self, hits_max: u64) -> Self {
        self.hits_max = hits_max.max(1);
        self
    }

    /// Name and number of all hits in reach, of those that were passed.
    fn of(&self, passed: Vec<(&'static str, u64)>) -> Vec<(&'static str, u64)> {
        let named = passed.into_iter().filter(|(name, _)| (self.named)(name));
        named.flat_map(|(name, hits)| (0..hits.min(self.hits_max)).map(move |nth| (name, nth))).collect()
    }
}

impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reach").field("hits_max", &self.hits_max).finish_non_exhaustive()
    }
}

/// As [`all_faults`](super::all_faults), by name: for each point in `reach` that the scenario passes, in each of the `manners`, the
/// scenario runs once and must leave the process as it was; if it does not it is run again, since the first time may have
/// set something up, and a second difference is a leak. *From then on* means all later hits of that point.
///
/// A hit that is not reached when its turn comes is tried up to a dozen times. The first of a point must be reached then; later
/// ones may be up to chance and are passed over.
///
/// # Errors
/// [`Broken`], whose `at` is the number of the hit among those of its point.
///
/// ```
/// #[global_allocator]
/// static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
///
/// use staunch_leak::{Options, fault_point, fault::{Manners, Reach, named_faults}};
/// let careless = || {
///     fault_point!("open")?;
///     let _swallowed = fault_point!("close");
///     Ok::<(), staunch_leak::fault::Fault>(())
/// };
/// let manners = Manners { panic: false, ..Manners::default() };
/// let broken = named_faults(&Options::default(), manners, &Reach::first(|_| true), careless).unwrap_err();
/// assert_eq!(broken.point, Some("close"));
/// ```
pub fn named_faults<E: Display>(
    options: &Options,
    manners: Manners,
    reach: &Reach,
    mut scenario: impl FnMut() -> Result<(), E>,
) -> Result<Swept, Broken> {
    options.must_see();
    let blame = |blame| Broken { at: 0, point: None, manner: "nothing failed", blame };
    // Twice: what the first run sets up is in no baseline then.
    let (_, ended) = run("", 0, false, Manner::Error, &mut scenario);
    ended.map_err(|message| blame(Blame::Unprovoked(message.to_string())))?;
    let (passed, ended) = run("", 0, false, Manner::Error, &mut scenario);
    ended.map_err(|message| blame(Blame::Unprovoked(message.to_string())))?;
    let points = reach.of(passed.names);
    if points.is_empty() {
        return Err(blame(Blame::NoPoints));
    }
    let mut runs = 0;
    for (name, nth) in &points {
        for (wanted, manner_name, from_then_on, manner) in [
            (manners.once, "an error once", false, Manner::Error),
            (manners.from_then_on, "errors from then on", true, Manner::Error),
            (manners.panic, "a panic", false, Manner::Panic),
        ] {
            if wanted {
                let broken = |blame| Broken { at: *nth, point: Some(name), manner: manner_name, blame };
                let may_recover = manners.may_recover && !from_then_on;
                runs += fail_at(options, may_recover, (name, *nth), (from_then_on, manner), &mut scenario)
                    .map_err(broken)?;
            }
        }
    }
    Ok(Swept { points: points.len() as u64, runs })
}

/// What a run told.
struct Run {
    told: Told,
    names: Vec<(&'static str, u64)>,
}

fn run<E: Display>(
    point: &str,
    nth: u64,
    from_then_on: bool,
    manner: Manner,
    scenario: &mut impl FnMut() -> Result<(), E>,
) -> (Run, Result<(), Ended>) {
    faults::arm_at(point, nth, from_then_on, manner);
    let ended = Ended::of(caught(&mut *scenario));
    let names = faults::passed();
    (Run { told: faults::disarm(), names }, ended)
}

/// Returns how many runs it took.
fn fail_at<E: Display>(
    options: &Options,
    may_recover: bool,
    (point, nth): (&str, u64),
    (from_then_on, manner): (bool, Manner),
    scenario: &mut impl FnMut() -> Result<(), E>,
) -> Result<u64, Blame> {
    let panics = matches!(manner, Manner::Panic);
    let mut grew = false;
    let mut missed = 0;
    for runs in 1.. {
        let baseline = Baseline::settled(options);
        let (Run { told, names }, ended) = run(point, nth, from_then_on, manner, scenario);
        drop(names);
        if told.failed.is_none() {
            missed += 1;
            match missed {
                TRIES if nth == 0 => return Err(Blame::Unsteady),
                TRIES => return Ok(runs),
                _ => continue,
            }
        }
        match ended {
            Ok(()) if panics || !may_recover => return Err(Blame::Swallowed),
            Err(Ended::Panic(message)) if !panics => return Err(Blame::Panicked(message)),
            ended => drop(ended),
        }
        match baseline.compare_growth(options) {
            Ok(()) => return Ok(runs),
            Err(_) if !grew => grew = true,
            Err(difference) => return Err(Blame::Leaked(difference)),
        }
    }
    Err(Blame::Hung)
}

/// As [`all_crashes`](super::all_crashes), by name: a victim dies at each hit in `reach`, and each time `check` must find that
/// everything can go on. The first victim is let live, to see which points there are; `check` is called after it too.
///
/// # Errors
/// [`Broken`], whose `at` is the number of the hit among those of its point.
pub fn named_crashes(
    options: &Options,
    reach: &Reach,
    mut command: impl FnMut() -> Command,
    mut check: impl FnMut(&Crash),
) -> Result<Swept, Broken> {
    let unprovoked = |blame| Broken { at: 0, point: None, manner: "nothing failed", blame };
    let output = crash::run(command().env(crash::DIES_AT, crash::aim("", 0))).map_err(unprovoked)?;
    let Some(passed) = crash::names(&output).filter(|_| output.status.success()) else {
        return Err(unprovoked(Blame::Unprovoked(crash::shown(&output))));
    };
    caught(|| check(&Crash { at: None, output })).map_err(|panic| unprovoked(Blame::Check(panic)))?;
    let baseline = Baseline::settled(options);
    let points = reach.of(passed);
    if points.is_empty() {
        return Err(unprovoked(Blame::NoPoints));
    }
    let mut runs = 1;
    for (name, nth) in &points {
        let broken = |blame| Broken { at: *nth, point: Some(name), manner: "killed", blame };
        let mut missed = 0;
        loop {
            let output = crash::run(command().env(crash::DIES_AT, crash::aim(name, *nth))).map_err(broken)?;
            runs += 1;
            let lived = output.status.success();
            if !lived && output.status.code().is_some() {
                return Err(broken(Blame::Unprovoked(crash::shown(&output))));
            }
            caught(|| check(&Crash { at: (!lived).then_some(*nth), output })).map_err(Blame::Check).map_err(broken)?;
            missed += usize::from(lived);
            match missed {
                TRIES if *nth == 0 => return Err(broken(Blame::Unsteady)),
                TRIES => break,
                _ if lived => {}
                _ => break,
            }
        }
        match baseline.compare_without_memory(options) {
            Err(difference) if difference.has_growth() => return Err(broken(Blame::Leaked(difference))),
            _ => {}
        }
    }
    Ok(Swept { points: points.len() as u64, runs })
}
