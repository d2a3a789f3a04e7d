//! Places where a test can make the disk fail.

use std::io;

use staunch_bounded::fault_point;

/// Does `work` unless a test makes this place fail, which is called `point`. Without the feature `faults` it is `work` and nothing
/// else.
///
/// # Errors
/// As `work`, or the fault.
pub(crate) fn at<T>(point: &'static str, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    fault_point!(point)?;
    work()
}
