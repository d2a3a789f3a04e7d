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

/// Looked at first, so that unarmed points take no lock.
static ARMED: AtomicBool = AtomicBool::new(false);
static HITS: AtomicU64 = AtomicU64::new(0);
static STATE: Mutex<Option<(Plan, Option<Fault>)>> = Mutex::new(None);

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
    let mut state = state();
    *state = Some((plan, None));
    HITS.store(0, Ordering::SeqCst);
    ARMED.store(true, Ordering::SeqCst);
}

/// From now on no point fails. Says what happened.
pub fn disarm() -> Told {
    let mut state = state();
    ARMED.store(false, Ordering::SeqCst);
    let failed = state.take().and_then(|(_, failed)| failed);
    Told { hits: HITS.load(Ordering::SeqCst), failed }
}

/// A point was reached; called by [`fault_point!`](crate::fault_point).
///
/// # Errors
/// The plan says so.
///
/// # Panics
/// The plan says so.
pub fn hit(point: &'static str) -> Result<(), Fault> {
    if !ARMED.load(Ordering::SeqCst) {
        return Ok(());
    }
    let manner = {
        let mut state = state();
        let Some((plan, failed)) = &mut *state else { return Ok(()) };
        let hit = HITS.fetch_add(1, Ordering::SeqCst);
        if hit < plan.first || hit > plan.first && !plan.from_then_on {
            return Ok(());
        }
        let fault = Fault { point, hit };
        failed.get_or_insert(fault);
        (plan.manner, fault)
    };
    match manner {
        (Manner::Error, fault) => Err(fault),
        (Manner::Panic, fault) => panic!("{fault}"),
        (Manner::Call(call), fault) => {
            call();
            Err(fault)
        }
    }
}

/// A poisoned lock is as good as any: nothing panics while it is held.
fn state() -> MutexGuard<'static, Option<(Plan, Option<Fault>)>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
