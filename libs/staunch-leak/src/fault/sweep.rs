//! Each fault point fails in turn.

use std::fmt::Display;

use staunch_bounded::faults::{self, Manner, Plan, Told};

use super::broken::{Blame, Broken, Swept};
use super::measured::{caught, twice};
use crate::gate::Options;

/// In which manners points fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// The n-th alone returns an error.
    pub once: bool,
    /// The n-th and all after it return errors: a disk that stays full.
    pub from_then_on: bool,
    /// The n-th panics.
    pub panic: bool,
    /// Whether a scenario may end well though one point failed, since it tries again. One that fails from then on may not,
    /// and a panic is never to be swallowed without a trace.
    pub may_recover: bool,
    /// Each point fails in one of the manners alone, and its neighbors in the others: a third of the time, where two sweeps in a row
    /// are not worth it and a long one runs now and then.
    pub in_turn: bool,
}

impl Default for Manners {
    /// All, and nothing may be swallowed.
    fn default() -> Self {
        Self { once: true, from_then_on: true, panic: true, may_recover: false, in_turn: false }
    }
}

/// Runs `scenario` for each fault point that it passes, in each of the `manners`, twice; the second time must leave the
/// process as it was: bytes, blocks, descriptors, threads, children, files and counts. An error must be reported, not
/// swallowed. The shape is that of Zig's `checkAllAllocationFailures`.
///
/// A point that is reached only because another failed (in an error path) is swept by `from_then_on`. Panics print what
/// panics print; set a hook that is silent if that is too much.
///
/// # Errors
/// [`Broken`] at the first point where something is not right; also if there is no point at all.
///
/// ```
/// #[global_allocator]
/// static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
///
/// use staunch_bounded::Budget;
/// use staunch_leak::{Options, fault::{Manners, all_faults}};
/// let budget = Budget::root("process", 100);
/// let swept = all_faults(&Options::default().budget(&budget), Manners::default(), || {
///     let first = budget.try_reserve(10)?;
///     let second = budget.try_reserve(10)?;
///     drop((first, second));
///     Ok::<(), staunch_bounded::OverBudget>(())
/// });
/// assert_eq!(swept.unwrap().points, 2);
/// ```
pub fn all_faults<E: Display>(
    options: &Options,
    manners: Manners,
    scenario: impl FnMut() -> Result<(), E>,
) -> Result<Swept, Broken> {
    all_faults_then(options, manners, scenario, || {})
}

/// As [`all_faults`], with a `check` after each run, when nothing fails any more: it opens the same directory, say, and looks for
/// what was promised. Its panic is reported. What it leaves counts as left.
///
/// # Errors
/// As [`all_faults`], and if `check` panics.
///
/// ```
/// #[global_allocator]
/// static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
///
/// use staunch_leak::{Options, fault::{Manners, Blame, all_faults_then}, fault_point};
/// let half = std::cell::Cell::new(false);
/// let write = || {
///     half.set(true);
///     fault_point!("write")?;
///     half.set(false);
///     Ok::<(), staunch_leak::fault::Fault>(())
/// };
/// let check = || assert!(!half.take(), "half of it is there");
/// let broken = all_faults_then(&Options::default(), Manners::default(), write, check).unwrap_err();
/// assert_eq!(broken.blame, Blame::Check("half of it is there".into()));
/// ```
pub fn all_faults_then<E: Display>(
    options: &Options,
    manners: Manners,
    mut scenario: impl FnMut() -> Result<(), E>,
    mut check: impl FnMut(),
) -> Result<Swept, Broken> {
    let blame = |blame| Broken { at: 0, point: None, manner: "nothing failed", blame };
    let (told, ended) = run(Plan { first: u64::MAX, from_then_on: false, manner: Manner::Error }, &mut scenario);
    ended.map_err(|message| blame(Blame::Unprovoked(message.to_string())))?;
    caught(&mut check).map_err(|panic| blame(Blame::Check(panic)))?;
    let points = told.hits;
    if points == 0 {
        return Err(blame(Blame::NoPoints));
    }
    let mut runs = 0;
    let wanted = manners.wanted();
    for at in 0..points {
        let turn = if manners.in_turn { at as usize % wanted.len().max(1) } else { 0 };
        for (name, from_then_on, manner) in
            wanted.iter().skip(turn).take(if manners.in_turn { 1 } else { wanted.len() })
        {
            let plan = Plan { first: at, from_then_on: *from_then_on, manner: *manner };
            sweep_one(options, manners, (plan, name), &mut scenario, &mut check)?;
            runs += 2;
        }
    }
    Ok(Swept { points, runs })
}

impl Manners {
    /// Those that were asked for: what a report calls it, whether all later hits fail too, and how.
    fn wanted(self) -> Vec<(&'static str, bool, Manner)> {
        let all = [
            (self.once, ("an error once", false, Manner::Error)),
            (self.from_then_on, ("errors from then on", true, Manner::Error)),
            (self.panic, ("a panic", false, Manner::Panic)),
        ];
        all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, manner)| manner).collect()
    }
}

/// How a scenario ended other than well.
pub(super) enum Ended {
    Error(String),
    Panic(String),
}

impl Ended {
    /// From what [`caught`] has.
    pub(super) fn of<E: Display>(caught: Result<Result<(), E>, String>) -> Result<(), Self> {
        match caught {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Self::Error(error.to_string())),
            Err(panic) => Err(Self::Panic(panic)),
        }
    }
}

impl Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Error(message) => f.write_str(message),
            Self::Panic(message) => write!(f, "panic: {message}"),
        }
    }
}

fn run<E: Display>(plan: Plan, scenario: &mut impl FnMut() -> Result<(), E>) -> (Told, Result<(), Ended>) {
    faults::arm(plan);
    let ended = Ended::of(caught(&mut *scenario));
    (faults::disarm(), ended)
}

fn sweep_one<E: Display>(
    options: &Options,
    manners: Manners,
    (plan, manner): (Plan, &'static str),
    scenario: &mut impl FnMut() -> Result<(), E>,
    check: &mut impl FnMut(),
) -> Result<(), Broken> {
    let mut point = None;
    let measured = twice(options, || {
        let (told, ended) = run(plan, scenario);
        // At any rate, as it also clears away what the run was about.
        let checked = caught(&mut *check).map_err(Blame::Check);
        let Some(fault) = told.failed else { return Err(Blame::Unsteady) };
        point = Some(fault.point);
        checked?;
        let panics = matches!(plan.manner, Manner::Panic);
        match ended {
            Ok(()) if panics || plan.from_then_on || !manners.may_recover => Err(Blame::Swallowed),
            Err(Ended::Panic(message)) if !panics => Err(Blame::Panicked(message)),
            _ => Ok(()),
        }
    });
    match measured {
        Ok(Ok(())) => Ok(()),
        Ok(Err(difference)) => Err(Blame::Leaked(difference)),
        Err(blame) => Err(blame),
    }
    .map_err(|blame| Broken { at: plan.first, point, manner, blame })
}
