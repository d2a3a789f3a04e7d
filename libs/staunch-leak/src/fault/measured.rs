//! One point, run twice: the first time may warm things up, the second must leave all as it was.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::census::Difference;
use crate::gate::{Baseline, Options};

/// Runs `once` twice and compares the process before and after the second time.
///
/// # Errors
/// What `once` says, the first time or the second; else what is more than it was, as `Err(Ok(difference))` of the second run.
pub(super) fn twice<T, E>(
    options: &Options,
    mut once: impl FnMut() -> Result<T, E>,
) -> Result<Result<T, Difference>, E> {
    options.must_see();
    drop(once()?);
    let baseline = Baseline::settled(options);
    let done = once()?;
    Ok(match baseline.compare(options) {
        Ok(()) => Ok(done),
        // Less than before is what the first run left for a moment.
        Err(difference) if !difference.has_growth() => Ok(done),
        Err(difference) => Err(difference),
    })
}

/// Runs it; a panic comes back as its message.
pub(super) fn caught<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    // The scenario's state after a panic is what the sweep is about, so it may well be looked at.
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| message(panic.as_ref()))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".to_owned())
}
