//! Zero growth: a body runs again and again, and everything is as it was, exactly.

mod alone;
mod baseline;
mod growth;
mod options;
#[cfg(feature = "tokio")]
mod runtime;
mod test_macro;

pub use alone::{alone, name_of_test, this_test};
pub(crate) use baseline::Baseline;
pub use growth::{Flat, Growth};
pub use options::Options;
#[cfg(feature = "tokio")]
pub use runtime::{current_thread, no_growth_async};

/// How often the baseline may turn out to have been taken too early. Each time it was, something had not ended yet that
/// had been told to; three in a row are not chance.
const BASELINES_MAX: usize = 3;

/// Runs `body` a few times to warm up and then 20 times (see [`Options`]), and compares what the process holds: live bytes,
/// live blocks, file descriptors, threads, children, files under [`Options::files_under`], and the counts of its probes.
///
/// What was told to end may take a moment: a thread that was joined is still listed for some microseconds. So after the last
/// round the process is looked at again and again until all is equal, for [`Options::settle_max`] at most; a leak costs that
/// time, a clean body none. If something became *less* than the baseline, it was the baseline that was taken too early, and a
/// new one is measured against.
///
/// On growth the rounds are run once more with a [recording](crate::alloc::record) of allocation sites, so that the error names them.
/// Nothing else may run in the process meanwhile: use [`test!`](crate::test) or [`alone`].
///
/// # Errors
/// [`Growth`] prints what is more and where it was allocated.
///
/// # Panics
/// As `body` does; and if memory shall be compared and [`Counting`](crate::Counting) is not the global allocator, since the
/// gate would be blind.
///
/// ```
/// #[global_allocator]
/// static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
///
/// use staunch_leak::{Options, no_growth};
/// let mut kept = Vec::with_capacity(100);
/// assert!(no_growth(&Options::default(), || drop(vec![1, 2, 3])).is_ok());
/// let growth = no_growth(&Options::default().brief(), || kept.push(Box::new(1u64))).unwrap_err();
/// assert!(growth.to_string().contains("live bytes"));
/// ```
///
/// ```should_panic
/// // No allocator that counts: the gate is blind, and says so.
/// drop(staunch_leak::no_growth(&staunch_leak::Options::default(), || {}));
/// ```
pub fn no_growth(options: &Options, mut body: impl FnMut()) -> Result<Flat, Growth> {
    options.must_see();
    for _ in 0..options.warm_ups {
        body();
    }
    let mut difference = crate::census::Difference::default();
    for _ in 0..BASELINES_MAX {
        let baseline = Baseline::settled(options);
        for _ in 0..options.rounds {
            body();
        }
        difference = match baseline.compare(options) {
            Ok(()) => return Ok(Flat { rounds: options.rounds }),
            Err(difference) => difference,
        };
        if difference.has_growth() {
            return Err(Growth::located(options, difference, body));
        }
    }
    Err(Growth::unsteady(options, difference))
}
