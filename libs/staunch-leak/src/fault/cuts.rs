//! Something from outside is cut off after n steps, for each n.

use std::fmt::Display;

use super::broken::{Blame, Broken, Swept};
use super::cancel::Cut;
use super::measured::{caught, twice};
use crate::gate::Options;

/// Steps after which a sweep gives up on a scenario that never goes through.
const CUTS_MAX: u64 = 100_000;

/// Calls `scenario` with 0, 1, 2, ... until it says that it went through ([`Cut::Completed`]): a client that breaks off after so
/// many bytes or reads, a process that is signalled after so many lines. Each number is called twice and compared over the second
/// time; `manner` says in the error what was cut.
///
/// # Errors
/// [`Broken`] names the number and what is left, what the scenario said, or its panic; also if it goes through at once, since then
/// nothing was cut.
///
/// ```
/// #[global_allocator]
/// static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
///
/// use staunch_leak::{Options, fault::{Cut, all_cuts}};
/// let mut kept = Vec::with_capacity(100);
/// let mut reads = |n: u64| {
///     let buffer = vec![0u8; 10];
///     if n == 2 {
///         kept.push(buffer);
///     }
///     Ok::<Cut, String>(if n < 3 { Cut::Dropped } else { Cut::Completed })
/// };
/// let broken = all_cuts(&Options::default().brief(), "cut after so many bytes", &mut reads).unwrap_err();
/// assert_eq!((broken.at, broken.manner), (2, "cut after so many bytes"));
/// ```
pub fn all_cuts<E: Display>(
    options: &Options,
    manner: &'static str,
    mut scenario: impl FnMut(u64) -> Result<Cut, E>,
) -> Result<Swept, Broken> {
    for at in 0..CUTS_MAX {
        let broken = |blame| Broken { at, point: None, manner, blame };
        let measured = twice(options, || {
            let cut = caught(|| scenario(at)).map_err(Blame::Panicked)?;
            cut.map_err(|error| Blame::Check(error.to_string()))
        });
        match measured.map_err(broken)?.map_err(Blame::Leaked).map_err(broken)? {
            Cut::Dropped => {}
            Cut::Completed if at == 0 => return Err(broken(Blame::NoPoints)),
            Cut::Completed => return Ok(Swept { points: at, runs: 2 * (at + 1) }),
        }
    }
    Err(Broken { at: CUTS_MAX, point: None, manner, blame: Blame::Hung })
}
