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
}

impl Default for Manners {
    /// All, and nothing may be swallowed.
    fn default() -> Self {
        Self { once: true, from_then_on: true, panic: true, may_recover: false }
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
    mut scenario: impl FnMut() -> Result<(), E>,
) -> Result<Swept, Broken> {
    let blame = |blame| Broken { at: 0, point: None, manner: "nothing failed", blame };
    let (told, ended) = run(Plan { first: u64::MAX, from_then_on: false, manner: Manner::Error }, &mut scenario);
    ended.map_err(|message| blame(Blame::Unprovoked(message.to_string())))?;
    let points = told.hits;
    if points == 0 {
        return Err(blame(Blame::NoPoints));
    }
    let mut runs = 0;
    for at in 0..points {
        for (wanted, name, from_then_on, manner) in [
            (manners.once, "an error once", false, Manner::Error),
            (manners.from_then_on, "errors from then on", true, Manner::Error),
            (manners.panic, "a panic", false, Manner::Panic),
        ] {
            if wanted {
                let plan = Plan { first: at, from_then_on, manner };
                sweep_one(options, manners, plan, name, &mut scenario)?;
                runs += 2;
            }
        }
    }
    Ok(Swept { points, runs })
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
    plan: Plan,
    manner: &'static str,
    scenario: &mut impl FnMut() -> Result<(), E>,
) -> Result<(), Broken> {
    let mut point = None;
    let measured = twice(options, || {
        let (told, ended) = run(plan, scenario);
        let Some(fault) = told.failed else { return Err(Blame::Unsteady) };
        point = Some(fault.point);
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
