//! The plan by which fault points fail: one a process, armed by a sweep.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fault::Fault;

/// How a point fails.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// It returns the [`Fault`].
    Error,
    /// It panics.
    Panic,
    /// It calls this first, which may end the process, and returns the [`Fault`] if it comes back.
    Call(fn()),
    /// Nothing fails; only who listens by [`on_failure`] hears of it: to do something else to the process at that moment.
    Tell,
}

/// Which hits fail, and how. Hits of all points are counted together, from 0.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first hit that fails; `u64::MAX` for none, to count only.
    pub first: u64,
    /// Whether all later hits fail too.
    pub from_then_on: bool,
    /// How.
    pub manner: Manner,
}

/// What has happened since a plan was armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Hits of all points.
    pub hits: u64,
    /// The first that failed.
    pub failed: Option<Fault>,
}

/// What is armed.
struct Armed {
    aim: Aim,
    from_then_on: bool,
    manner: Manner,
    failed: Option<Fault>,
    /// How often each point was hit, in the order of the first hits: as many as there are names.
    passed: Vec<(&'static str, u64)>,
}

/// Which hit is the first to fail.
enum Aim {
    /// This one of all.
    Any(u64),
    /// This one of a point.
    Of(String, u64),
}

/// Looked at first, so that unarmed points take no lock.
static ARMED: AtomicBool = AtomicBool::new(false);
static HITS: AtomicU64 = AtomicU64::new(0);
static STATE: Mutex<Option<Armed>> = Mutex::new(None);
/// Points whose names begin so are counted; all, if there is none.
static ONLY: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// How many [`Quiet`]s there are.
static QUIET: AtomicU64 = AtomicU64::new(0);
/// Who hears of failures.
static LISTENER: Mutex<Option<fn(Fault)>> = Mutex::new(None);

/// From now on points fail by this plan, in every thread; the count of hits begins at 0.
///
/// ```
/// use staunch_bounded::{Budget, faults::{self, Manner, Plan}};
/// let budget = Budget::root("process", 100);
/// faults::arm(Plan { first: 1, from_then_on: false, manner: Manner::Error });
/// let asked = [10, 10, 10].map(|bytes| budget.try_reserve(bytes).is_ok());
/// let told = faults::disarm();
/// assert_eq!((asked, told.hits), ([true, false, true], 3));
/// assert_eq!(told.failed.unwrap().point, "budget.reserve");
/// ```
pub fn arm(plan: Plan) {
    set(Aim::Any(plan.first), plan.from_then_on, plan.manner);
}

/// From now on the hit number `nth` (from 0) of one point fails, with `from_then_on` all later ones of that point too. Where
/// threads take turns, that is a steadier aim than the number among all hits.
///
/// ```
/// use staunch_bounded::{fault_point, faults::{self, Manner}};
/// faults::arm_at("log.write", 1, false, Manner::Error);
/// let write = || (fault_point!("log.open").is_ok(), fault_point!("log.write").is_ok());
/// assert_eq!([write(), write(), write()], [(true, true), (true, false), (true, true)]);
/// assert_eq!(faults::passed(), [("log.open", 3), ("log.write", 3)]);
/// assert_eq!(faults::disarm().failed.unwrap().point, "log.write");
/// ```
pub fn arm_at(point: &str, nth: u64, from_then_on: bool, manner: Manner) {
    set(Aim::Of(point.to_owned(), nth), from_then_on, manner);
}

fn set(aim: Aim, from_then_on: bool, manner: Manner) {
    let mut state = state();
    *state = Some(Armed { aim, from_then_on, manner, failed: None, passed: Vec::new() });
    HITS.store(0, Ordering::SeqCst);
    ARMED.store(true, Ordering::SeqCst);
}

/// How often each point was hit since a plan was armed, in the order of their first hits; nothing if none is armed.
pub fn passed() -> Vec<(&'static str, u64)> {
    state().as_ref().map(|armed| armed.passed.clone()).unwrap_or_default()
}

/// What failed first since a plan was armed.
pub fn failed() -> Option<Fault> {
    state().as_ref().and_then(|armed| armed.failed)
}

/// From now on no point fails. Says what happened.
pub fn disarm() -> Told {
    let mut state = state();
    ARMED.store(false, Ordering::SeqCst);
    let failed = state.take().and_then(|armed| armed.failed);
    Told { hits: HITS.load(Ordering::SeqCst), failed }
}

/// From now on only points count whose names begin with one of these; without any, all do. Points of other parts of the program are
/// then as if they were not there.
///
/// ```
/// use staunch_bounded::{Budget, faults::{self, Manner, Plan}};
/// faults::only(&["log."]);
/// faults::arm(Plan { first: 0, from_then_on: true, manner: Manner::Error });
/// assert!(Budget::root("process", 100).try_reserve(10).is_ok());
/// assert_eq!(faults::disarm().hits, 0);
/// ```
pub fn only(prefixes: &[&str]) {
    *locked(&ONLY) = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
}

/// While it lives no point is counted and none fails: for what a scenario has to do before and after what is swept.
#[derive(Debug)]
pub struct Quiet(());

/// No point counts until what is returned is dropped.
#[must_use]
pub fn quiet() -> Quiet {
    QUIET.fetch_add(1, Ordering::SeqCst);
    Quiet(())
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Calls this at each failure, before it happens, in whichever thread it is.
pub fn on_failure(listener: fn(Fault)) {
    *locked(&LISTENER) = Some(listener);
}

/// Arms by a text, so that a whole program can be swept by what its environment says: a manner (`error`, `errors` from then on,
/// `panic`, `tell`), `@` and the number of the first hit that fails, and, after a colon, the beginnings of names that count.
/// Whether it was understood; otherwise nothing is armed.
///
/// ```
/// use staunch_bounded::{Budget, faults};
/// assert!(!faults::arm_by_text("error"));
/// assert!(faults::arm_by_text("error@1:budget.,log."));
/// let budget = Budget::root("process", 100);
/// assert_eq!([1, 1].map(|bytes| budget.try_reserve(bytes).is_ok()), [true, false]);
/// # faults::disarm();
/// ```
pub fn arm_by_text(text: &str) -> bool {
    let (plan, prefixes) = text.split_once(':').unwrap_or((text, ""));
    let Some((manner, first)) = plan.split_once('@') else { return false };
    let Ok(first) = first.parse() else { return false };
    let (manner, from_then_on) = match manner {
        "error" => (Manner::Error, false),
        "errors" => (Manner::Error, true),
        "panic" => (Manner::Panic, false),
        "tell" => (Manner::Tell, false),
        _ => return false,
    };
    only(&prefixes.split(',').filter(|prefix| !prefix.is_empty()).collect::<Vec<_>>());
    arm(Plan { first, from_then_on, manner });
    true
}

/// Whether a point counts now.
fn counts(point: &str) -> bool {
    let only = locked(&ONLY);
    QUIET.load(Ordering::SeqCst) == 0 && (only.is_empty() || only.iter().any(|prefix| point.starts_with(prefix)))
}

/// No point fails until [`resume`], and none is counted: what is armed stays so. For a look at what a failure has left behind.
pub fn suspend() {
    ARMED.store(false, Ordering::SeqCst);
}

/// Points fail again by what was armed before [`suspend`]; if nothing is, nothing happens.
///
/// ```
/// use staunch_bounded::{fault_point, faults::{self, Manner}};
/// faults::arm_at("log.write", 0, true, Manner::Error);
/// faults::suspend();
/// assert!(fault_point!("log.write").is_ok());
/// faults::resume();
/// assert!(fault_point!("log.write").is_err());
/// faults::disarm();
/// ```
pub fn resume() {
    let state = state();
    ARMED.store(state.is_some(), Ordering::SeqCst);
}

/// A point was reached; called by [`fault_point!`](crate::fault_point).
///
/// # Errors
/// The plan says so.
///
/// # Panics
/// The plan says so.
pub fn hit(point: &'static str) -> Result<(), Fault> {
    if !ARMED.load(Ordering::SeqCst) || !counts(point) {
        return Ok(());
    }
    let (manner, fault) = {
        let mut state = state();
        let Some(armed) = &mut *state else { return Ok(()) };
        let hit = HITS.fetch_add(1, Ordering::SeqCst);
        if !armed.fails(point, hit) {
            return Ok(());
        }
        let fault = Fault { point, hit };
        armed.failed.get_or_insert(fault);
        (armed.manner, fault)
    };
    let listener = *locked(&LISTENER);
    if let Some(listener) = listener {
        listener(fault);
    }
    match manner {
        Manner::Tell => Ok(()),
        Manner::Error => Err(fault),
        Manner::Panic => panic!("{fault}"),
        Manner::Call(call) => {
            call();
            Err(fault)
        }
    }
}

impl Armed {
    /// Counts a hit. Whether it fails.
    fn fails(&mut self, point: &'static str, hit: u64) -> bool {
        let of_point = match self.passed.iter_mut().find(|(name, _)| *name == point) {
            Some((_, count)) => {
                *count += 1;
                *count - 1
            }
            None => {
                self.passed.push((point, 1));
                0
            }
        };
        let (at, first) = match &self.aim {
            Aim::Any(first) => (hit, *first),
            Aim::Of(name, first) if name == point => (of_point, *first),
            Aim::Of(..) => return false,
        };
        at == first || at > first && self.from_then_on
    }
}

fn state() -> MutexGuard<'static, Option<Armed>> {
    locked(&STATE)
}

/// A poisoned lock is as good as any: nothing panics while it is held.
fn locked<T>(lock: &'static Mutex<T>) -> MutexGuard<'static, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
