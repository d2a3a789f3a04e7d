//! Whose turn it is to take a profile: one at a time, and not too often.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::{Code, Refusal};

/// So many may begin within a [`WINDOW`]: each stops all allocations for about a millisecond, and costs some tens of processor time.
const TURNS_MAX: usize = 10;
/// See [`TURNS_MAX`].
const WINDOW: Duration = Duration::from_secs(60);
/// When to ask again while another has its turn. It may take a minute, but mostly it does not.
const BUSY: Duration = Duration::from_secs(5);

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    one: Arc<Semaphore>,
    begun: Mutex<Begun>,
}

/// The newest beginnings, in a ring.
#[derive(Debug, Default)]
struct Begun {
    times: [Option<Instant>; TURNS_MAX],
    next: usize,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { one: Arc::new(Semaphore::new(1)), begun: Mutex::default() }
    }

    /// A turn, until it is dropped.
    pub(super) fn begin(&self, now: Instant) -> Result<OwnedSemaphorePermit, Refusal> {
        let busy = |_| Refusal::new(Code::ProfileBusy).detail("another profile is being taken").retry_after(BUSY);
        let turn = Arc::clone(&self.one).try_acquire_owned().map_err(busy)?;
        // A lock for a moment, never over an await.
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let next = begun.next;
        if let Some(oldest) = begun.times[next]
            && let Some(left) = WINDOW.checked_sub(now.saturating_duration_since(oldest)).filter(|left| !left.is_zero())
        {
            let why = format_args!("at most {TURNS_MAX} may be taken in {} s", WINDOW.as_secs());
            return Err(Refusal::new(Code::ProfileBusy).detail(why).retry_after(left));
        }
        begun.times[next] = Some(now);
        begun.next = (next + 1) % TURNS_MAX;
        Ok(turn)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_so_many_in_a_window() {
        let turns = Turns::new();
        let start = Instant::now();
        let held = turns.begin(start).unwrap();
        let refused = turns.begin(start).unwrap_err();
        assert_eq!((refused.code(), refused.seconds()), (Code::ProfileBusy, Some(5)));
        drop(held);
        for second in 1..TURNS_MAX as u64 {
            drop(turns.begin(start + Duration::from_secs(second)).unwrap());
        }
        let refused = turns.begin(start + Duration::from_secs(59)).unwrap_err();
        assert_eq!((refused.code(), refused.seconds()), (Code::ProfileBusy, Some(1)));
        drop(turns.begin(start + WINDOW).unwrap());
        assert!(turns.begin(start + WINDOW).is_err(), "the second is as old as a minute only a second later");
        drop(turns.begin(start + WINDOW + Duration::from_secs(1)).unwrap());
    }
}
